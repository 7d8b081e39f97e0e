"""Private names of servers that we use: one module a server; see `velithon._compat`, which this package cannot know."""
