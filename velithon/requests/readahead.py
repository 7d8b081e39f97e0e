"""Polling for a disconnect without losing the bytes of the body that may come first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from velithon_adapters.readahead import ReadAhead

if TYPE_CHECKING:
    from starlette.types import Message, Receive

__all__ = ["AHEAD_SIZE", "DisconnectPoll"]

AHEAD_SIZE = 1024 * 1024
"""Bytes of a body that are held for a reader who asks first whether the client is still there."""


class DisconnectPoll(ReadAhead):
    """A receive callable that also answers whether the client has left.

    Args:
        receive: The server's.
    """

    __slots__ = ()

    def __init__(self, receive: Receive) -> None:
        super().__init__(receive, messages=4096, size=AHEAD_SIZE)

    async def __call__(self) -> Message:
        """Return the next message."""
        return await self.receive()

    async def is_disconnected(self) -> bool:
        """Tell whether the client is known to be gone.

        Raises:
            Exception: What the server's receive raised.
        """
        if self.ended is None:
            self.watch()
            # The first step of the server's receive runs before this goes on: what is there already is known then.
            await asyncio.sleep(0)
            self.collect()
            if self._held and isinstance(self._held[0], BaseException):
                await self.receive()
        return self.ended is not None

    def stop(self) -> None:
        """Stop reading: the response is done, and nobody waits for an answer any more."""
        self.close({"type": "http.disconnect"})
