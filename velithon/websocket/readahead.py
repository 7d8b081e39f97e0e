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

    __slots__ = ("_accepted", "_ahead", "_gone", "_receive", "_send", "_waiters")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._accepted = False
        self._ahead: asyncio.Future[Message] | None = None
        self._gone: Message | None = None
        self._waiters: list[asyncio.Future[None]] = []

    async def receive(self) -> Message:
        """Return the next message; after the end, the disconnect again."""
        while self._gone is None:
            ahead = self._ahead
            if ahead is None:
                ahead = self._ask()
            if not ahead.done():
                # Who gives up waiting leaves the server's receive as it is: cancelled, Granian's loses a message.
                await self._settled()
            if ahead is not self._ahead:
                # Another task has it, or the connection was closed.
                continue
            self._ahead = None
            message = ahead.result()
            if message["type"] == "websocket.disconnect":
                self._gone = message
            return message
        return self._gone

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
            if ahead is None:
                self._ask()
        elif message["type"] == "websocket.close":
            # A handshake that was refused may still be received.
            if self._gone is None and self._accepted:
                self._gone = _closed(message.get("code", 1000), message.get("reason"))
            ahead, self._ahead = self._ahead, None
            if ahead is not None and not ahead.done():
                # Granian's ASGI mode closes no connection that somebody reads from.
                ahead.cancel()
                if not ahead.done():
                    await self._settled()
                self._wake()
        elif message["type"] == "websocket.accept":
            self._accepted = True
        await self._send(message)

    def stop(self) -> None:
        """Stop reading ahead; a task that still waits for a message learns that the connection is over."""
        if self._gone is None:
            self._gone = _closed(1000)
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
        self._wake()

    def _ask(self) -> asyncio.Future[Message]:
        ahead = self._ahead = asyncio.ensure_future(self._receive())
        # Once: Granian's future knows of one callback alone.
        ahead.add_done_callback(self._wake)
        return ahead

    async def _settled(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _wake(self, _: object = None) -> None:
        waiters = self._waiters
        while waiters:
            waiter = waiters.pop(0)
            if not waiter.done():
                waiter.set_result(None)


def _closed(code: int, reason: str | None = None) -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": reason or ""}
