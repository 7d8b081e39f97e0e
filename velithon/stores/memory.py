"""A store in this process's memory: bounded, the least recently used values go first."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from velithon.stores.base import BaseStore, LocalLocks, StoreFullError, check_expire, check_value, parse_number

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

__all__ = ["MemoryStore"]

# What Python needs for an entry beside the key's and the value's bytes: about, on 64 bits.
_OVERHEAD = 250


class MemoryStore(BaseStore):
    """Keeps values in this process.

    Other processes do not see them, and they end with it.

    When it is full, the values that were not used for the longest time go, expired or not.

    Args:
        max_entries: How many values there may be.
        max_bytes: How much memory they may take, keys included.

    Raises:
        ValueError: A bound is less than 1.
    """

    def __init__(self, *, max_entries: int = 100_000, max_bytes: int = 64 * 1024 * 1024) -> None:
        super().__init__()
        if max_entries < 1 or max_bytes < 1:
            raise ValueError("MemoryStore needs room: max_entries and max_bytes must be at least 1.")
        self._memory = _Memory(max_entries, max_bytes)
        self._locks = LocalLocks()

    def __len__(self) -> int:
        return sum(map(self.contains, self._memory.entries))

    async def get(self, key: str) -> bytes | None:
        """Return a value, or `None`."""
        return self._memory.get(self.full(key))

    async def get_many(self, *keys: str) -> list[bytes | None]:
        """Return the values of several keys, in their order."""
        return [self._memory.get(self.full(key)) for key in keys]

    async def set(self, key: str, value: bytes, *, expire: float | None = None) -> None:
        """Keep a value.

        Raises:
            StoreFullError: It alone is larger than the store.
        """
        lifetime = check_expire(expire)
        until = None if lifetime is None else time.monotonic() + lifetime
        self._memory.set(self.full(key), check_value(value), until)

    async def replace(self, key: str, value: bytes, *, expire: float | None = None) -> bool:
        """Keep a value where there is one; tell whether there was."""
        if self._memory.get(self.full(key)) is None:
            return False
        await self.set(key, value, expire=expire)
        return True

    async def delete(self, *keys: str) -> int:
        """Remove values; return how many there were."""
        return sum(self._memory.pop(self.full(key)) for key in keys)

    async def exists(self, key: str) -> bool:
        """Tell whether there is a value."""
        return self._memory.get(self.full(key)) is not None

    async def increment(self, key: str, by: int = 1, *, expire: float | None = None) -> int:
        """Add to a number; return the sum."""
        lifetime = check_expire(expire)
        full = self.full(key)
        value = self._memory.get(full)
        if value is None:
            number, until = by, None if lifetime is None else time.monotonic() + lifetime
        else:
            number, until = parse_number(value) + by, self._memory.entries[full][1]
        self._memory.set(full, b"%d" % number, until)
        return number

    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        """Return `async with` that one task at a time may be in."""
        return self._locks(self.full(key))

    async def clear(self) -> None:
        """Remove everything in this namespace and in those below it."""
        for full in [full for full in self._memory.entries if self.contains(full)]:
            self._memory.pop(full)


class _Memory:
    """The values of a store and of its namespaces, by full key: the value, and when it ends on the monotonic clock."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.entries: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self.size = 0

    def get(self, full: str) -> bytes | None:
        entry = self.entries.get(full)
        if entry is None:
            return None
        value, until = entry
        if until is not None and until <= time.monotonic():
            self.pop(full)
            return None
        self.entries.move_to_end(full)
        return value

    def set(self, full: str, value: bytes, until: float | None) -> None:
        size = _compute_size(full, value)
        if size > self.max_bytes:
            raise StoreFullError(f"A value of {len(value)} bytes does not fit a store of {self.max_bytes} bytes.")
        self.pop(full)
        self.entries[full] = (value, until)
        self.size += size
        while len(self.entries) > self.max_entries or self.size > self.max_bytes:
            oldest, (old, _) = self.entries.popitem(last=False)
            self.size -= _compute_size(oldest, old)

    def pop(self, full: str) -> bool:
        entry = self.entries.pop(full, None)
        if entry is None:
            return False
        self.size -= _compute_size(full, entry[0])
        return entry[1] is None or entry[1] > time.monotonic()


def _compute_size(full: str, value: bytes) -> int:
    return len(full) + len(value) + _OVERHEAD
