"""Noticing that a WebSocket's client left while the application only sends.

From version 2.4 on, ASGI servers raise from `send` then. Older ones drop the message and say so to `receive` alone, so
one message is read ahead while nobody else reads.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

__all__ = ["LookAhead", "is_silent"]


def is_silent(scope: Scope) -> bool:
    """Tell whether the server's `send` is silent about clients that left."""
    version: Any = scope.get("asgi", {}).get("spec_version")
    return version is not None and tuple(map(int, version.split("."))) < (2, 4)


class LookAhead:
    """A WebSocket's `receive` and `send` over those of such a server; `stop` it at the end."""

    __slots__ = ("_ahead", "_gone", "_receive", "_receiving", "_send")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._ahead: asyncio.Future[Message] | None = None
        self._receiving = False
        self._gone: Message | None = None

    async def receive(self) -> Message:
        """Return the next message; after the end, the disconnect again."""
        if self._gone is not None:
            return self._gone
        ahead, self._ahead = self._ahead, None
        self._receiving = True
        try:
            message = await (self._receive() if ahead is None else ahead)
        finally:
            self._receiving = False
        if message["type"] == "websocket.disconnect":
            self._gone = message
        return message

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            OSError: The client is gone.
        """
        if message["type"] == "websocket.send":
            ahead = self._ahead
            if ahead is not None and ahead.done() and ahead.result()["type"] == "websocket.disconnect":
                self._gone = ahead.result()
            if self._gone is not None:
                raise OSError("The client is gone.")
            if ahead is None and not self._receiving:
                self._ahead = asyncio.ensure_future(self._receive())
        elif self._ahead is not None and not self._ahead.done():
            # Granian's ASGI mode closes no connection that somebody reads from.
            self._ahead.cancel()
            await asyncio.wait((self._ahead,))
            self._ahead = None
        await self._send(message)

    def stop(self) -> None:
        """Stop reading ahead."""
        if self._ahead is not None:
            self._ahead.cancel()
