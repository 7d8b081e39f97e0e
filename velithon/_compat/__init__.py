"""Private names of other projects that we use: one module a neighbour.

`PRIVATE` in each module says why each name is used; a test says which one has gone when a new version drops it. Names
that are imported come from here and from nowhere else. Attributes of objects cannot be imported, so they are listed.
"""
