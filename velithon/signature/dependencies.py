"""What dependencies need while they run: concurrency limits and application-scoped values."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from weakref import WeakKeyDictionary

from anyio import Semaphore


class Concurrency:
    """A limit of simultaneous calls, counted in each event loop by itself.

    Args:
        limit: How many may run at the same time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._semaphores: WeakKeyDictionary[asyncio.AbstractEventLoop, Semaphore] = WeakKeyDictionary()

    def get_semaphore(self) -> Semaphore:
        """Return the running loop's semaphore."""
        loop = asyncio.get_running_loop()
        found = self._semaphores.get(loop)
        if found is None:
            found = self._semaphores[loop] = Semaphore(self.limit)
        return found


class AppValues:
    """The values of `scope="app"` dependencies: each is made once per application and closed at shutdown.

    Many requests may ask for a value at once: the first makes it, the others wait; after a failure the next in line
    tries again.
    """

    def __init__(self) -> None:
        self._values: dict[object, object] = {}
        self._locks: dict[object, asyncio.Lock] = {}
        self._stack = AsyncExitStack()

    @property
    def values(self) -> dict[object, object]:
        """What was made, by cache key."""
        return self._values

    async def get(self, key: object, make: Callable[[AsyncExitStack], Awaitable[object]]) -> object:
        """Return the value of `key`, making it if nobody did.

        Args:
            key: What tells values apart.
            make: Makes the value; it pushes what must be closed at shutdown on the stack that it is given.
        """
        values = self._values
        if key in values:
            return values[key]
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            if key not in values:
                values[key] = await make(self._stack)
        return values[key]

    async def aclose(self) -> None:
        """Run the exit code of every value, the youngest first, and forget the values."""
        stack, self._stack = self._stack, AsyncExitStack()
        self._values.clear()
        self._locks.clear()
        await stack.aclose()
