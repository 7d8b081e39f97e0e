"""Noticing that a WebSocket's client left while the application only sends.

From version 2.4 on, ASGI servers raise from `send` then. Older ones drop the message and say so to `receive` alone, so
one message is read ahead while nobody else reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon_adapters.readahead import ReadAhead

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

__all__ = ["WebSocketReadAhead", "build_closed_message", "is_silent"]


def is_silent(scope: Scope) -> bool:
    """Tell whether the server's `send` is silent about clients that left."""
    version = scope.get("asgi", {}).get("spec_version")
    return version is not None and tuple(map(int, version.split("."))) < (2, 4)


class WebSocketReadAhead(ReadAhead):
    """A WebSocket's `receive` and `send` over those of such a server.

    `stop` it at the end.
    """

    __slots__ = ("_accepted", "_send")

    def __init__(self, receive: Receive, send: Send) -> None:
        super().__init__(receive)
        self._send = send
        self._accepted = False

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            OSError: The client is gone.
        """
        kind = message["type"]
        if kind == "websocket.send":
            self.collect()
            if self.ended is not None:
                raise OSError("The client is gone.")
            self.watch()
        elif kind == "websocket.close":
            # A handshake that was refused may still be received.
            if self.ended is None and self._accepted:
                self.ended = build_closed_message(message.get("code", 1000), message.get("reason"))
            await self.release()
        elif kind == "websocket.accept":
            self._accepted = True
        await self._send(message)

    def stop(self) -> None:
        """Stop reading ahead.

        A task that still waits for a message learns that the connection is over.
        """
        self.close(build_closed_message(1000))


def build_closed_message(code: int, reason: str | None = None) -> Message:
    """Return the message that tells a reader of the end of a WebSocket."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason or ""}
