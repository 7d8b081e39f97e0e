"""Velithon's channels."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from velithon.channels import Channels, channels_from_url


class VelithonHub:
    """A room of channels."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def publish(self, text: str) -> None:
        """Send a message."""
        await self._channels.publish("room", text)

    @asynccontextmanager
    async def subscribe(self, capacity: int) -> AsyncIterator[Callable[[], Any]]:
        """Enter the room."""
        async with self._channels.subscribe("room", capacity=capacity) as subscription:
            yield subscription.__anext__


@asynccontextmanager
async def open_hub(url: str, history: int) -> AsyncIterator[VelithonHub]:
    """Connect."""
    options = {"history": history} if url.startswith("redis") else {}
    async with channels_from_url(url, **options) as channels:
        yield VelithonHub(channels)
