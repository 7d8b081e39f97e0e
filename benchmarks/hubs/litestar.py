"""Litestar's channels plugin, with its backends for memory, Redis and Redis streams."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.channels.backends.redis import RedisChannelsPubSubBackend, RedisChannelsStreamBackend
from redis.asyncio import Redis


class LitestarHub:
    """A channel of the plugin."""

    def __init__(self, plugin: ChannelsPlugin) -> None:
        self._plugin = plugin

    async def publish(self, text: str) -> None:
        """Send a message."""
        await self._plugin.wait_published(text, ["room"])

    @asynccontextmanager
    async def subscribe(self, capacity: int) -> AsyncIterator[Callable[[], Any]]:
        """Enter the room."""
        async with self._plugin.start_subscription(["room"]) as subscriber:
            yield subscriber.iter_events().__anext__


@asynccontextmanager
async def open_hub(url: str, history: int) -> AsyncIterator[LitestarHub]:
    """Connect."""
    backend: Any
    if url == "memory://":
        backend = MemoryChannelsBackend()
    elif history:
        backend = RedisChannelsStreamBackend(history=history, redis=Redis.from_url(url))
    else:
        backend = RedisChannelsPubSubBackend(redis=Redis.from_url(url))
    async with ChannelsPlugin(backend=backend, channels=["room"]) as plugin:
        yield LitestarHub(plugin)
