"""Stale bytecode of files that were saved twice within a second.

Python compares the source's size and its time in whole seconds: two saves within a second, of one length, look the
same.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

__all__ = ["drop_bytecode"]


def drop_bytecode(source: str | Path) -> None:
    """Remove the compiled form of a Python file, if there is one."""
    # There is none, or it cannot be removed: then Python's own comparison is what is left.
    with suppress(OSError, NotImplementedError, ValueError):
        Path(cache_from_source(str(source))).unlink()
