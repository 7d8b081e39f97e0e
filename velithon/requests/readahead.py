"""Looking ahead in what a server has to say of a request, without losing the bytes of its body."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive

__all__ = ["AHEAD_SIZE", "ReadAhead"]

AHEAD_SIZE = 1024 * 1024
"""Bytes of a body that are held for a reader who asks first whether the client is still there."""


class ReadAhead:
    """A receive callable that can be asked what came, and gives it later.

    The server is never told to forget that it was asked: some would forget what they had to say, too.

    Args:
        receive: The server's.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._held: deque[Message] = deque()
        self._size = 0
        self._asked: asyncio.Task[Message] | None = None
        self._left = False
        # How many wait for a message in `__call__`.
        self._readers = 0

    async def __call__(self) -> Message:
        """Return the next message."""
        while not self._held:
            self._readers += 1
            try:
                asked = self._asked
                if asked is None:
                    message = await self._receive()
                else:
                    await asyncio.wait((asked,))
                    if asked is not self._asked:
                        # Another reader has it.
                        continue
                    self._asked = None
                    message = asked.result()
            finally:
                self._readers -= 1
            self._left = self._left or message["type"] == "http.disconnect"
            return message
        message = self._held.popleft()
        self._size -= len(message.get("body", b""))
        return message

    async def left(self) -> bool:
        """Tell whether the client is known to be gone; of an unread body, no more than `AHEAD_SIZE` is held."""
        if self._left or self._size >= AHEAD_SIZE:
            return self._left
        if self._readers:
            # Who reads gets what comes next, and learns as soon of a client that leaves. Give them their turn.
            await asyncio.sleep(0)
            return self._left
        asked = self._asked
        if asked is None:
            asked = self._asked = asyncio.get_running_loop().create_task(self._next())
            asked.add_done_callback(_seen)
        # Its first step comes before this goes on: what is there already is known then.
        await asyncio.sleep(0)
        if asked is self._asked and asked.done() and not self._readers:
            self._asked = None
            message = asked.result()
            self._held.append(message)
            self._size += len(message.get("body", b""))
            self._left = message["type"] == "http.disconnect"
        return self._left

    async def _next(self) -> Message:
        return await self._receive()

    def close(self) -> None:
        """Say that the response is done: nobody waits for an answer any more."""
        if self._asked is not None:
            self._asked.cancel()


def _seen(asked: asyncio.Task[Message]) -> None:
    """Look at an exception for which nobody may ask."""
    if not asked.cancelled():
        asked.exception()
