"""Instruments that patch Starlette or the application: requests pass through their patches.

Velithon answers without Starlette's `__call__` and without its stack of layers. An instrument that replaces one of them
would then see nothing, so where one is replaced or overridden, requests take the detour through it.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware

if TYPE_CHECKING:
    from velithon.application import Velithon

__all__ = ["describe_callable", "explain_detour"]

_PATCHED: tuple[tuple[type, str], ...] = (
    (Starlette, "__call__"),
    (Starlette, "build_middleware_stack"),
    (ServerErrorMiddleware, "__call__"),
    (ExceptionMiddleware, "__call__"),
)


def explain_detour(app: Velithon) -> str | None:
    """Return what stands in the way of the fast path through an application, in words.

    `None` where nothing does.
    """
    from velithon.application import Velithon

    call, stack = type(app).__call__, app.build_middleware_stack
    if call is not Velithon.__call__:
        return f"{describe_callable(call)} overrides __call__"
    if getattr(stack, "__func__", stack) is not Velithon.build_middleware_stack:
        return f"{describe_callable(stack)} replaces build_middleware_stack"
    for cls, name in _PATCHED:
        function = vars(cls)[name]
        if not _is_starlettes(function, cls):
            return f"{describe_callable(function)} patches {cls.__name__}.{name}"
    if app.middleware_stack is not None:
        return f"middleware_stack was set to {describe_callable(app.middleware_stack)}"
    return None


def _is_starlettes(function: object, cls: type) -> bool:
    """Tell Starlette's own function from what an instrument put in its place.

    A proxy around it is no function of Starlette's either.
    """
    return type(function) is FunctionType and function.__code__.co_filename == sys.modules[cls.__module__].__file__


def describe_callable(item: object) -> str:
    """Return module and name of a function, or of an object's class."""
    function = getattr(item, "__func__", item)
    owner = function if hasattr(function, "__qualname__") else type(function)
    return f"{owner.__module__}.{owner.__qualname__}"
