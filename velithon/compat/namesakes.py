"""FastAPI's exceptions beside ours: a handler of either class answers both."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from velithon import exceptions

__all__ = ["add_namesakes"]

_NAMES = (
    "HTTPException",
    "WebSocketException",
    "RequestValidationError",
    "WebSocketRequestValidationError",
    "ResponseValidationError",
    "FastAPIError",
)


def add_namesakes(handlers: Mapping[Any, object]) -> dict[Any, Any]:
    """Return exception handlers with those of FastAPI's classes for ours, and the other way, where it is imported."""
    found = dict(handlers)
    theirs = sys.modules.get("fastapi.exceptions")
    for name in _NAMES if theirs is not None else ():
        ours, other = getattr(exceptions, name), getattr(theirs, name, None)
        if other in handlers and _is_default(handlers.get(ours)):
            found[ours] = handlers[other]
        elif ours in handlers and other is not None:
            found.setdefault(other, handlers[ours])
    return found


def _is_default(handler: object) -> bool:
    return handler is None or getattr(handler, "__module__", None) == "velithon.exception_handlers"
