"""redis-py: one connection for each process, whose messages are put into a queue for each subscriber."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis


class RedisHub:
    """A channel of Redis."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._queues: set[asyncio.Queue[bytes]] = set()

    async def publish(self, text: str) -> None:
        """Send a message."""
        await self._redis.publish("room", text)

    @asynccontextmanager
    async def subscribe(self, capacity: int) -> AsyncIterator[Callable[[], Any]]:
        """Enter the room."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(capacity)
        self._queues.add(queue)
        yield queue.get

    async def distribute(self, pubsub: Any) -> None:
        """Put each message into each queue."""
        async for message in pubsub.listen():
            if message["type"] == "message":
                for queue in self._queues:
                    queue.put_nowait(message["data"])


@asynccontextmanager
async def open_hub(url: str, history: int) -> AsyncIterator[RedisHub]:
    """Connect."""
    async with Redis.from_url(url) as redis, redis.pubsub() as pubsub:
        await pubsub.subscribe("room")
        hub = RedisHub(redis)
        task = asyncio.create_task(hub.distribute(pubsub))
        yield hub
        task.cancel()
