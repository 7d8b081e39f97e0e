"""taskiq's stream broker on Redis, with renewed claims, delayed jobs and three priorities.

A job is an entry of a stream, in the consumer group of the workers, until it has ended; then it is acknowledged and
deleted. A worker renews its claim on the entries that it has. An entry that nobody renews belongs to a worker that was
killed, and the next worker that looks takes it. Jobs that are due later wait in a sorted set; whoever looks moves those
that are due, in one step.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from taskiq import AckableMessage, BrokerMessage
from taskiq_redis import RedisStreamBroker

__all__ = ["RedisBroker"]

logger = logging.getLogger("velithon.jobs")

# KEYS: the sorted set, the streams. ARGV: the time in milliseconds. A member is the stream's number, a colon, a random
# part, a colon and the message.
_MOVE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, member in ipairs(due) do
    local number = tonumber(string.sub(member, 1, 1))
    redis.call('XADD', KEYS[number + 2], '*', 'data', string.sub(member, 3))
    redis.call('ZREM', KEYS[1], member)
end
return #due
"""
_BLOCK_MILLISECONDS = 200
_MOVE_SECONDS = 0.05
_ORPHANS = 10


class RedisBroker(RedisStreamBroker):
    """taskiq's `RedisStreamBroker` for jobs; see this module.

    Args:
        url: Where Redis is.
        queue: What the names of the streams begin with.
        claim_seconds: How long an entry waits that nobody renews.
    """

    has_priorities = True

    def __init__(self, url: str, queue: str, claim_seconds: float) -> None:
        super().__init__(
            url,
            queue_name=f"{queue}:jobs",
            consumer_group_name=queue,
            consumer_id="0",
            socket_timeout=10,
            socket_connect_timeout=5,
            socket_keepalive=True,
        )
        self._streams = [f"{self.queue_name}:high", self.queue_name, f"{self.queue_name}:low"]
        self._delayed = f"{self.queue_name}:later"
        self._claim = claim_seconds
        # What this worker has.
        self._claimed: dict[tuple[str, bytes], None] = {}
        self._renewing: asyncio.Task[None] | None = None

    @property
    def _redis(self) -> Redis:
        return Redis(connection_pool=self.connection_pool)

    async def _declare_consumer_group(self) -> None:
        for stream in self._streams:
            try:
                await self._redis.xgroup_create(stream, self.consumer_group_name, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def kick(self, message: BrokerMessage) -> None:
        """Add a job to its stream, or to those that are due later."""
        priority = int(message.labels.get("priority", 5))
        number = 0 if priority > 6 else 2 if priority < 4 else 1
        delay = float(message.labels.get("delay", 0))
        if delay > 0:
            member = f"{number}:".encode() + message.message
            await self._redis.zadd(self._delayed, {member: (time.time() + delay) * 1000})
        else:
            await self._redis.xadd(self._streams[number], {b"data": message.message})

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield jobs: those of the highest stream first, and those that nobody renews any longer."""
        move = self._redis.register_script(_MOVE)
        next_look = next_move = 0.0
        self._renewing = asyncio.get_running_loop().create_task(self._renew())
        try:
            while True:
                try:
                    if time.monotonic() >= next_move:
                        await move(keys=[self._delayed, *self._streams], args=[int(time.time() * 1000)])
                        next_move = time.monotonic() + _MOVE_SECONDS
                    found = await self._fetch_new()
                    if time.monotonic() >= next_look:
                        orphans = await self._fetch_orphans()
                        found += orphans
                        next_look = 0.0 if orphans else time.monotonic() + self._claim / 3
                except ResponseError as error:
                    if "NOGROUP" not in str(error):
                        raise
                    # Redis lost its data.
                    await self._declare_consumer_group()
                    continue
                except (RedisError, OSError) as error:
                    logger.warning("The worker cannot reach Redis and tries again: %r", error)
                    await asyncio.sleep(1)
                    continue
                self._claimed.update({(stream, id): None for stream, id, _ in found})
                for stream, id, fields in found:
                    yield AckableMessage(data=fields[b"data"], ack=self._build_acknowledge(stream, id))
        finally:
            self._renewing.cancel()

    async def _fetch_new(self) -> list[tuple[str, bytes, dict[bytes, bytes]]]:
        # One at a time: what one worker fetched in advance, another could have begun.
        redis = self._redis
        for stream in self._streams:
            found: Any = await redis.xreadgroup(self.consumer_group_name, self.consumer_name, {stream: ">"}, count=1)
            if found:
                return [(stream, id, fields) for _, entries in _list_entries(found) for id, fields in entries]
        found = await redis.xreadgroup(
            self.consumer_group_name,
            self.consumer_name,
            dict.fromkeys(self._streams, ">"),
            count=1,
            block=_BLOCK_MILLISECONDS,
        )
        return [(name.decode(), id, fields) for name, entries in _list_entries(found) for id, fields in entries]

    async def _fetch_orphans(self) -> list[tuple[str, bytes, dict[bytes, bytes]]]:
        orphans = []
        for stream in self._streams:
            claimed: Any = await self._redis.xautoclaim(
                stream,
                self.consumer_group_name,
                self.consumer_name,
                min_idle_time=int(self._claim * 1000),
                count=_ORPHANS,
            )
            # An entry that this worker has itself was not renewed in time; it is done already.
            orphans += [
                (stream, id, fields) for id, fields in claimed[1] if fields and (stream, id) not in self._claimed
            ]
        return orphans

    async def _renew(self) -> None:
        """Keep what this worker has from looking abandoned, also while Redis restarts."""
        while True:
            await asyncio.sleep(self._claim / 3)
            for stream in self._streams:
                ids: list[Any] = [id for name, id in self._claimed if name == stream]
                if not ids:
                    continue
                try:
                    await self._redis.xclaim(stream, self.consumer_group_name, self.consumer_name, 0, ids, justid=True)
                except (RedisError, OSError) as error:
                    logger.warning("The worker cannot renew its claim on %d jobs: %r", len(ids), error)

    def _build_acknowledge(self, stream: str, id: bytes) -> Callable[[], Awaitable[None]]:
        async def acknowledge() -> None:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.xack(stream, self.consumer_group_name, id)
                pipeline.xdel(stream, id)
                await pipeline.execute()
            self._claimed.pop((stream, id), None)

        return acknowledge


def _list_entries(found: Any) -> list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
    """Return what XREADGROUP found: a list of pairs over RESP2, a dictionary of lists over RESP3."""
    if isinstance(found, dict):
        return [(name, entries[0]) for name, entries in found.items() if entries]
    return list(found or [])
