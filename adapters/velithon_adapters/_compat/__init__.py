"""Private names of servers that we use: one module a server.

See `velithon._compat`, which this package cannot know.
"""
