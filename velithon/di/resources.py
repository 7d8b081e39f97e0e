"""Entering and closing what singletons hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from velithon.di.compile import MISSING, Cell, ProviderError


def is_context_manager(kind: object) -> bool:
    """Tell whether instances of `kind` are context managers that may be entered.

    Entering a lock would acquire it, so what can be acquired and released is left alone. Only real methods count: a
    `MagicMock` answers to every name.
    """
    return _has_methods(kind, "__enter__", "__exit__") and not _has_methods(kind, "acquire", "release")


def is_async_context_manager(kind: object) -> bool:
    """Tell whether instances of `kind` are asynchronous context managers that may be entered."""
    return _has_methods(kind, "__aenter__", "__aexit__") and not _has_methods(kind, "acquire", "release")


def _has_methods(kind: object, *names: str) -> bool:
    if not isinstance(kind, type):
        return False
    return all(inspect.isroutine(inspect.getattr_static(kind, name, None)) for name in names)


def _find_close(value: object) -> Callable[[], object] | None:
    if isinstance(value, type):
        return None
    for name in ("aclose", "close"):
        method = getattr(value, name, None)
        if callable(method):
            return method  # type: ignore[no-any-return]  # callable, as was asked above
    return None


async def _call_close(close: Callable[[], object]) -> None:
    outcome = close()
    if inspect.isawaitable(outcome):
        await outcome


class Singletons:
    """The singletons that live and end together, in the order of their creation."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._cells: list[Cell] = []

    def keep(self, cell: Cell, value: Any) -> object:
        """Take over an object made by a synchronous provider; returns what its users get."""
        kind = type(value)
        close = _find_close(value)
        if is_context_manager(kind) and not (is_async_context_manager(kind) and close):
            value = self._stack.enter_context(value)
        elif close:
            self._stack.push_async_callback(_call_close, close)
        elif is_async_context_manager(kind):
            raise ProviderError(
                f"{kind.__qualname__} is an asynchronous context manager and its factory does not say so: "
                "annotate what the factory returns, or make the factory async."
            )
        self._cells.append(cell)
        return value

    async def keep_async(self, cell: Cell, value: Any) -> object:
        """Take over an object made by an asynchronous provider; returns what its users get."""
        kind = type(value)
        if is_async_context_manager(kind):
            value = await self._stack.enter_async_context(value)
        elif is_context_manager(kind):
            value = self._stack.enter_context(value)
        elif close := _find_close(value):
            self._stack.push_async_callback(_call_close, close)
        self._cells.append(cell)
        return value

    async def close(self) -> None:
        """Close everything, the last made first; all are tried, then the last failure is raised."""
        stack, self._stack = self._stack, AsyncExitStack()
        cells, self._cells = self._cells, []
        for cell in cells:
            cell.value = MISSING
        await stack.aclose()
