"""FastAPI's exceptions beside ours: a handler of either class answers both."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TypeVar

from velithon import exceptions

__all__ = ["add_namesakes"]

K = TypeVar("K")
V = TypeVar("V")

_NAMES = (
    "HTTPException",
    "WebSocketException",
    "RequestValidationError",
    "WebSocketRequestValidationError",
    "ResponseValidationError",
    "FastAPIError",
)


def add_namesakes(handlers: Mapping[K, V]) -> dict[K, V]:
    """Return exception handlers, each for FastAPI's class and for ours.

    They are returned as they are where FastAPI is not imported.
    """
    found = dict(handlers)
    theirs = sys.modules.get("fastapi.exceptions")
    for name in _NAMES if theirs is not None else ():
        ours, other = getattr(exceptions, name), getattr(theirs, name, None)
        if other in handlers and _is_default(handlers.get(ours)):
            found[ours] = handlers[other]  # type: ignore[index]  # no key is None
        elif ours in handlers and other is not None:
            found.setdefault(other, handlers[ours])
    return found


def _is_default(handler: object) -> bool:
    return handler is None or getattr(handler, "__module__", None) == "velithon.exception_handlers"
