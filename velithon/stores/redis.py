"""A store in Redis or Valkey, for many processes on many machines.

redis-py speaks to it.

Where a connection breaks in the middle, what may be done twice is asked once more, on a new connection. What may not,
such as an increment, fails, and whether it was done is not known.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

try:
    import redis.asyncio
    from redis import exceptions
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
except ImportError as exc:
    raise ImportError("velithon.stores.RedisStore needs redis-py: pip install 'velithon[redis]'") from exc

from velithon.stores.base import (
    BaseStore,
    LocalLocks,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    check_expire,
    check_name,
    check_value,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from redis.asyncio.lock import Lock

__all__ = ["RedisStore"]

T = TypeVar("T")

logger = logging.getLogger("velithon.stores")

_INCREMENT = """
local there = redis.call('EXISTS', KEYS[1])
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if there == 0 and ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum
"""
# How long a lock outlives a process that was killed with it; a living one renews it, in seconds.
_LOCK_LIFETIME = 10.0
_LOCK_POLL = 0.02


class RedisStore(BaseStore):
    """Keeps values in Redis 6 or newer, or in Valkey.

    Each event loop has connections of its own, opened when they are needed.

    Args:
        url: As redis-py takes it: `redis://:password@host:6379/0`, `rediss://` for TLS, `unix:///run/redis.sock`;
            `valkey://` and `valkeys://` are the same.
        prefix: Stands before every key on the server, so that applications may share it: letters, digits, `_`, `.`
            and `-`.
        timeout: How long connecting, an answer or a free connection may take, in seconds; then the operation fails.
        max_connections: How many connections an event loop may have.
        options: Further options of redis-py's connections, such as `ssl_ca_certs`.

    Raises:
        ValueError: The URL is none of Redis's, or the prefix has other characters.
    """

    def __init__(
        self, url: str, *, prefix: str = "velithon", timeout: float = 1.0, max_connections: int = 64, **options: object
    ) -> None:
        super().__init__(check_name(prefix))
        self.url = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
        self._options: dict[str, Any] = {
            "max_connections": max_connections,
            "timeout": timeout,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 0),
            # With RESP3 redis-py 8 does not look whether the server has closed an idle connection.
            "protocol": 2,
            **options,
        }
        # What is wrong with the URL is told here.
        redis.asyncio.connection.parse_url(self.url)
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, redis.asyncio.Redis] = WeakKeyDictionary()
        self._locks = LocalLocks()

    @property
    def client(self) -> redis.asyncio.Redis:
        """The running event loop's redis-py client, for what the contract does not have."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            pool = redis.asyncio.BlockingConnectionPool.from_url(self.url, **self._options)
            client = self._clients[loop] = redis.asyncio.Redis.from_pool(pool)
        return client

    async def get(self, key: str) -> bytes | None:
        """Return a value, or `None`."""
        full = self.full(key)
        found: bytes | None = await self._run_repeatable(lambda: self.client.get(full))
        return found

    async def get_many(self, *keys: str) -> list[bytes | None]:
        """Return the values of several keys, in their order, as they are at one moment."""
        full = list(map(self.full, keys))
        found: list[bytes | None] = await self._run_repeatable(lambda: self.client.mget(full)) if full else []
        return found

    async def set(self, key: str, value: bytes, *, expire: float | None = None) -> None:
        """Keep a value, in the place of the one before."""
        full, data, lifetime = self.full(key), check_value(value), _to_milliseconds(expire)
        await self._run_repeatable(lambda: self.client.set(full, data, px=lifetime))

    async def replace(self, key: str, value: bytes, *, expire: float | None = None) -> bool:
        """Keep a value where there is one, in one step; tell whether there was."""
        full, data, lifetime = self.full(key), check_value(value), _to_milliseconds(expire)
        return bool(await self._run_repeatable(lambda: self.client.set(full, data, px=lifetime, xx=True)))

    async def delete(self, *keys: str) -> int:
        """Remove values; return how many there were."""
        count: int = await self.run(self.client.delete(*map(self.full, keys))) if keys else 0
        return count

    async def exists(self, key: str) -> bool:
        """Tell whether there is a value."""
        full = self.full(key)
        return bool(await self._run_repeatable(lambda: self.client.exists(full)))

    async def increment(self, key: str, by: int = 1, *, expire: float | None = None) -> int:
        """Add to a number, in one step; return the sum."""
        lifetime = _to_milliseconds(expire)
        arguments: list[int | str] = [by, "" if lifetime is None else lifetime]
        try:
            total: int = await self.script(_INCREMENT, [self.full(key)], arguments)
        except StoreError as exc:
            if "not an integer" in str(exc.__cause__):
                raise ValueError("increment() needs a value that is an integer in decimal text.") from exc
            raise
        return total

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """Return `async with` that one task at a time may be in, of all processes.

        A process that is killed, or cut off from Redis, loses the lock after 10 seconds.
        """
        full = self.full(key)
        async with self._locks(full):
            # The token is the task's own; a thread's would be shared by all tasks of the loop.
            name = f"{full}:lock"
            lock = self.client.lock(name, timeout=_LOCK_LIFETIME, sleep=_LOCK_POLL, thread_local=False)
            await self.run(lock.acquire())
            renewing = asyncio.create_task(_renew(lock))
            try:
                yield
            finally:
                renewing.cancel()
                try:
                    await lock.release()
                except (exceptions.RedisError, OSError) as exc:
                    # It ends by itself; what was done under it is done.
                    logger.warning("The lock %s could not be released: %s", name, exc)

    async def clear(self) -> None:
        """Remove everything in this namespace and in those below it."""
        await self._run_repeatable(self._clear)

    async def _clear(self) -> None:
        client = self.client
        batch: list[bytes] = []
        # No name has a character that a pattern knows.
        async for key in client.scan_iter(match=":".join(self._names) + ":*", count=1000):
            batch.append(key)
            if len(batch) == 1000:
                await client.unlink(*batch)
                batch.clear()
        if batch:
            await client.unlink(*batch)

    async def script(self, source: str, keys: list[str], arguments: Sequence[int | float | bytes | str]) -> Any:
        """Run a Lua script, which Redis does in one step.

        Args:
            source: The script.
            keys: Its `KEYS`, as `full()` gives them.
            arguments: Its `ARGV`.
        """
        return await self.run(self.client.register_script(source)(keys=keys, args=arguments))

    async def _run_repeatable(self, operation: Callable[[], Awaitable[object]]) -> Any:
        try:
            return await self.run(operation())
        except StoreUnavailableError as exc:
            if not isinstance(exc.__cause__, exceptions.ConnectionError):
                raise
        return await self.run(operation())

    async def run(self, operation: Awaitable[T]) -> T:
        """Await an operation of the client; what it raises becomes a `StoreError`."""
        try:
            return await operation
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as exc:
            raise StoreUnavailableError(f"Redis did not answer: {exc or type(exc).__name__}.") from exc
        except exceptions.OutOfMemoryError as exc:
            raise StoreFullError(f"Redis is full: {exc}.") from exc
        except exceptions.RedisError as exc:
            if "OOM command not allowed" in str(exc):
                raise StoreFullError(f"Redis is full: {exc}.") from exc
            raise StoreError(f"Redis refused: {exc}.") from exc

    async def aclose(self) -> None:
        """Close the running event loop's connections.

        The store may be used again and opens new ones.
        """
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose(close_connection_pool=True)


async def _renew(lock: Lock) -> None:
    while True:
        await asyncio.sleep(_LOCK_LIFETIME / 3)
        try:
            await lock.reacquire()
        except (exceptions.RedisError, OSError) as exc:
            logger.warning("The lock %s could not be renewed: %s", lock.name, exc)


def _to_milliseconds(expire: float | None) -> int | None:
    lifetime = check_expire(expire)
    return None if lifetime is None else max(1, round(lifetime * 1000))
