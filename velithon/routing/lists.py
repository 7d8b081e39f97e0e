"""Lists that tell when they change: a router's routes, and what is around a route."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["WatchedList"]

T = TypeVar("T")


class WatchedList(list[T]):
    """A list that calls a function at every change.

    Args:
        items: The first items.
        changed: Called after each change.
    """

    def __init__(self, items: Iterable[T], changed: Callable[[], None]) -> None:
        super().__init__(items)
        self._tell = changed

    def _adopt(self, argument: object) -> Any:
        """Return what stands for an argument of a change: an item, several, or an index."""
        return argument

    def _wrap(name: str) -> Any:  # type: ignore[misc]  # called while the class is made, not as a method
        change = getattr(list, name)

        @functools.wraps(change)
        def method(self: WatchedList[Any], *args: Any, **kwargs: Any) -> Any:
            result = change(self, *map(self._adopt, args), **kwargs)
            self._tell()
            return result

        return method

    append = _wrap("append")
    clear = _wrap("clear")
    extend = _wrap("extend")
    insert = _wrap("insert")
    pop = _wrap("pop")
    remove = _wrap("remove")
    reverse = _wrap("reverse")
    sort = _wrap("sort")
    __delitem__ = _wrap("__delitem__")
    __iadd__ = _wrap("__iadd__")
    __setitem__ = _wrap("__setitem__")
