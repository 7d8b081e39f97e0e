"""The contract of stores, and what all of ours share.

A namespace is a view of the same store. Its keys are kept as `outer:inner::key`: the names of namespaces have no colon,
so the first `::` ends them, and no key of one namespace can be a key of another.

Exceptions:

    StoreError                  the store did not do what was asked
      StoreFullError            it has no room
      StoreUnavailableError     it cannot be reached, or did not answer in time
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import re
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

__all__ = ["BaseStore", "Store", "StoreError", "StoreFullError", "StoreUnavailableError"]

_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class StoreError(Exception):
    """A store did not do what was asked."""


class StoreFullError(StoreError):
    """A store has no room for a value."""


class StoreUnavailableError(StoreError):
    """A store cannot be reached, or did not answer in time.

    Whether it did what was asked is not known.
    """


@runtime_checkable
class Store(Protocol):
    """Bytes under names.

    Keys are `str` and not empty; `expire` is in seconds, more than 0, and `None` keeps a value for good. Each method
    may raise `StoreError`.
    """

    async def get(self, key: str) -> bytes | None:
        """Return a value, or `None`."""
        ...

    async def get_many(self, *keys: str) -> list[bytes | None]:
        """Return the values of several keys, in their order, as they are at one moment."""
        ...

    async def set(self, key: str, value: bytes, *, expire: float | None = None) -> None:
        """Keep a value, in the place of the one before."""
        ...

    async def replace(self, key: str, value: bytes, *, expire: float | None = None) -> bool:
        """Keep a value where there is one, in one step.

        Tell whether there was: what was deleted stays so.
        """
        ...

    async def delete(self, *keys: str) -> int:
        """Remove values; return how many there were."""
        ...

    async def exists(self, key: str) -> bool:
        """Tell whether there is a value."""
        ...

    async def increment(self, key: str, by: int = 1, *, expire: float | None = None) -> int:
        """Add to a number, which begins at 0, in one step; return the sum.

        The value is the number as decimal text. `expire` counts from the number's beginning: later calls do not extend
        it.

        Raises:
            ValueError: The value is no number.
        """
        ...

    async def get_or_set(
        self, key: str, make: Callable[[], Awaitable[bytes] | bytes], *, expire: float | None = None
    ) -> bytes:
        """Return a value, making it if there is none.

        It is made once, however many ask at the same time.

        Who asks while the value is made gets what is made. Where `make` raises, those who waited in this process get
        the exception too; another process tries again.
        """
        ...

    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        """Return an `async with` block that one task at a time may enter.

        That holds for all processes that share the store.
        """
        ...

    async def clear(self) -> None:
        """Remove everything in this namespace and in those below it."""
        ...

    def namespace(self, name: str) -> Store:
        """Return a view of the store with keys of its own.

        Letters, digits, `_`, `.` and `-` may be in the name.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections and files.

        The store may be used again and opens new ones.
        """
        ...


class BaseStore:
    """What our stores share: namespaces, `get_or_set`, the checks of arguments, `async with`."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._start = ":".join(names) + "::"
        self._flights: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Future[bytes]]] = (
            WeakKeyDictionary()
        )

    def namespace(self, name: str) -> Self:
        """Return a view in which every key is its own.

        Raises:
            ValueError: The name is empty, or has other characters than letters, digits, `_`, `.` and `-`.
        """
        view = copy.copy(self)
        view._names = (*self._names, check_name(name))
        view._start = ":".join(view._names) + "::"
        return view

    def full(self, key: str) -> str:
        """Return the key with its namespaces.

        Raises:
            TypeError: It is no string.
            ValueError: It is empty.
        """
        if type(key) is not str:
            raise TypeError(f"A store's key must be a str, not {type(key).__name__}.")
        if not key:
            raise ValueError("A store's key must not be empty.")
        return self._start + key

    def contains(self, full: str) -> bool:
        """Tell whether a full key is in this namespace or below it."""
        return not self._names or full.startswith(self._start[:-1])

    async def get_or_set(
        self, key: str, make: Callable[[], Awaitable[bytes] | bytes], *, expire: float | None = None
    ) -> bytes:
        """Return a value, making it if there is none.

        It is made once, however many ask at the same time.
        """
        store: Any = self
        value: bytes | None = await store.get(key)
        if value is not None:
            return value
        loop = asyncio.get_running_loop()
        flights = self._flights.setdefault(loop, {})
        full = self.full(key)
        while (flight := flights.get(full)) is not None:
            await asyncio.wait((flight,))
            if not flight.cancelled():
                return flight.result()
        flight = flights[full] = loop.create_future()
        try:
            value = await _make_locked(store, key, make, expire)
        except asyncio.CancelledError:
            # Who made it is gone: the next one makes it.
            flight.cancel()
            raise
        except BaseException as exc:
            flight.set_exception(exc)
            flight.exception()  # raised below; nobody else may have asked
            raise
        else:
            flight.set_result(value)
            return value
        finally:
            del flights[full]

    async def aclose(self) -> None:
        """Let go of connections and files.

        The store may be used again and opens new ones.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def _make_locked(store: Store, key: str, make: Callable[[], object], expire: float | None) -> bytes:
    async with store.lock(key):
        found: bytes | None = await store.get(key)
        if found is not None:
            return found
        made = make()
        value: bytes = check_value(await made if inspect.isawaitable(made) else made)
        await store.set(key, value, expire=expire)
        return value


def check_name(name: str) -> str:
    """Return a namespace's name.

    Raises:
        ValueError: It is empty, or has other characters than letters, digits, `_`, `.` and `-`.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"A store's namespace or prefix has letters, digits, '_', '.' and '-', not {name!r}.")
    return name


def check_value(value: object) -> bytes:
    """Return a value as bytes.

    Raises:
        TypeError: It is none.
    """
    if type(value) is bytes or isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"A store keeps bytes, not {type(value).__name__}: encode the value, such as with json.dumps.")


def check_expire(expire: float | None) -> float | None:
    """Return a lifetime in seconds.

    Raises:
        ValueError: It is not more than 0.
    """
    if expire is not None and not expire > 0:
        raise ValueError(f"expire must be more than 0 seconds, or None to keep the value for good, not {expire!r}.")
    return expire


def parse_number(value: bytes) -> int:
    """Return the number that a value is.

    Raises:
        ValueError: It is none.
    """
    try:
        return int(value)
    except ValueError:
        raise ValueError("increment() needs a value that is an integer in decimal text.") from None


class LocalLocks:
    """Locks by name between the tasks of one event loop.

    A name that nobody holds or waits for takes no room.
    """

    def __init__(self) -> None:
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[asyncio.Lock, list[None]]]] = (
            WeakKeyDictionary()
        )

    def __call__(self, name: str) -> LocalLock:
        """Return the lock of a name, to be used once with `async with`."""
        return LocalLock(self._locks.setdefault(asyncio.get_running_loop(), {}), name)


class LocalLock:
    """One use of a lock."""

    def __init__(self, locks: dict[str, tuple[asyncio.Lock, list[None]]], name: str) -> None:
        self._locks = locks
        self._name = name

    async def __aenter__(self) -> None:
        lock, users = self._locks.setdefault(self._name, (asyncio.Lock(), []))
        users.append(None)
        try:
            await lock.acquire()
        except BaseException:
            self._leave(users)
            raise

    async def __aexit__(self, *_: object) -> None:
        lock, users = self._locks[self._name]
        lock.release()
        self._leave(users)

    def _leave(self, users: list[None]) -> None:
        users.pop()
        if not users:
            del self._locks[self._name]
