"""Startup and shutdown functions."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar, overload

__all__ = ["F", "Handlers", "adopt_lifespan"]

F = TypeVar("F", bound=Callable[..., object])


class Handlers(list[Callable[[], object]]):
    """Startup or shutdown functions: a list, and a decorator that adds to it.

    Functions run in order of priority, the highest first, and of registration among equals.
    """

    def __init__(self, handlers: Iterable[Callable[[], object]] = ()) -> None:
        super().__init__(handlers)
        self._priorities: dict[int, int] = {}

    @overload
    def __call__(self, priority: F) -> F: ...

    @overload
    def __call__(self, priority: int = 0) -> Callable[[F], F]: ...

    def __call__(self, priority: F | int = 0) -> F | Callable[[F], F]:
        """Return the decorator; the function comes back unchanged. Works without parentheses as well."""
        if callable(priority):
            self.append(priority)
            return priority

        def decorator(function: F) -> F:
            self.append(function)
            self._priorities[id(function)] = priority
            return function

        return decorator

    async def run(self) -> None:
        """Call every function, await what is awaitable."""
        for function in sorted(self, key=lambda function: -self._priorities.get(id(function), 0)):
            result = function()
            if inspect.isawaitable(result):
                await result


def adopt_lifespan(lifespan: object) -> Any:
    """Return a lifespan as an async context manager.

    It may be written as a generator, async or not.
    """
    if inspect.isasyncgenfunction(lifespan):
        return asynccontextmanager(lifespan)
    if not inspect.isgeneratorfunction(lifespan):
        return lifespan
    manager = contextmanager(lifespan)

    @asynccontextmanager
    async def run(app: object) -> AsyncIterator[object]:
        with manager(app) as state:
            yield state

    return run
