"""What a factory's declaration tells about it, read once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import get_origin

from velithon.di.resources import is_async_context_manager


def is_async_callable(function: Callable[..., object]) -> bool:
    """Tell whether a call gives an awaitable.

    So it is for an ``async def``, a partial of one, and an object whose call is one.
    """
    while isinstance(function, partial):
        function = function.func
    if inspect.iscoroutinefunction(function):
        return True
    return not isinstance(function, type) and inspect.iscoroutinefunction(type(function).__call__)


def makes_async_context(factory: Callable[..., object]) -> bool:
    """Tell whether a factory declares that it makes an asynchronous context manager.

    It does when it is such a class, when its return annotation names one, or when it comes from
    `contextlib.asynccontextmanager`, which leaves a plain function around an asynchronous generator.
    """
    if isinstance(factory, type):
        return is_async_context_manager(factory)
    return is_async_context_manager(_read_returned_class(factory)) or inspect.isasyncgenfunction(
        inspect.unwrap(factory)
    )


def _read_returned_class(factory: Callable[..., object]) -> object:
    try:
        annotation = inspect.get_annotations(factory, eval_str=True).get("return")
    except (NameError, AttributeError, TypeError, SyntaxError):
        return None
    return get_origin(annotation) or annotation


def describe(function: Callable[..., object]) -> str:
    """Return the name of a class or function, for a message."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", None) or repr(function)
