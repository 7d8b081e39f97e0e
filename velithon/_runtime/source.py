"""Where a callable is written."""

from __future__ import annotations

import inspect
import os
import sys
from typing import Any

__all__ = ["find_source", "place_of"]


def find_source(endpoint: Any) -> tuple[str, int] | None:
    """Return the file and line of an endpoint.

    `None` where that is not known.
    """
    try:
        target = inspect.unwrap(endpoint)
        file = inspect.getsourcefile(target)
        line = inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        return None
    return (file, line) if file else None


def place_of(endpoint: object) -> str:
    """Return `file:line` of an endpoint.

    The file is relative to the working directory or to the entry of `sys.path` that has it.
    """
    found = find_source(endpoint)
    if found is None:
        return ""
    file, line = found
    above = (place for place in (os.getcwd(), *sys.path) if place and file.startswith(os.path.join(place, "")))
    return f"{os.path.relpath(file, next(above, None))}:{line}"
