"""Heartbeats of WebSockets as messages of the application.

The pings of RFC 6455 are the server's: Uvicorn sends them by itself (`--ws-ping-interval`), Granian sends none, and
neither ASGI nor RSGI lets an application ask for one. What every server can carry is a message.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from velithon.websocket.readahead import build_closed_message
from velithon_adapters.readahead import ReadAhead

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Heartbeat", "add_heartbeat"]

WAITING = 32
"""Messages that may wait for the endpoint while the heartbeat reads."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What keeps a WebSocket alive, and tells when it is not.

    Args:
        interval: After so many seconds in which nothing came, `message` is sent.
        message: Text or bytes; the client sees it as any other message.
        answer: What the client answers; the endpoint does not see it. `None` expects no answer: then only a connection
            that is known to be broken ends.
        timeout: How long an answer, or anything else from the client, may take, in seconds; `interval` by default.
            After that the connection is closed with 1011 and the endpoint gets a disconnect with 1006.

    Raises:
        ValueError: A time is not positive.
    """

    interval: float
    message: str | bytes = "ping"
    answer: str | bytes | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("interval", self.interval), ("timeout", self.timeout)):
            if value is not None and value <= 0:
                raise ValueError(f"A heartbeat's {name} must be more than 0 seconds, not {value}.")


def add_heartbeat(app: ASGIApp, heartbeat: Heartbeat | float) -> ASGIApp:
    """Return a WebSocket application whose connections have a heartbeat."""
    settings = heartbeat if isinstance(heartbeat, Heartbeat) else Heartbeat(heartbeat)

    async def run_with_heartbeat(scope: Scope, receive: Receive, send: Send) -> None:
        connection = HeartbeatConnection(settings, receive, send)
        try:
            await app(scope, connection.receive, connection.send)
        finally:
            await connection.stop()

    return run_with_heartbeat


class HeartbeatConnection(ReadAhead):
    """One connection with a heartbeat.

    It reads ahead, so that it sees answers while the endpoint only sends.
    """

    def __init__(self, heartbeat: Heartbeat, receive: Receive, send: Send) -> None:
        super().__init__(receive, messages=WAITING)
        self.heartbeat = heartbeat
        self._send = send
        self._beats: asyncio.Task[None] | None = None
        # When the client was last heard, in the loop's time.
        self._heard = 0.0
        self._answered = asyncio.Event()
        self._is_closing = False

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            OSError: The client is gone.
        """
        kind = message["type"]
        if self.ended is not None and kind != "websocket.close":
            raise OSError("The client is gone.")
        if kind == "websocket.close" and self._beats is not None:
            await self.release()
        if self.ended is None:
            await self._send(message)
            if kind == "websocket.close":
                self.close(build_closed_message(message.get("code", 1000)))
        if kind == "websocket.accept":
            loop = asyncio.get_running_loop()
            self._heard = loop.time()
            self.watch()
            self._beats = loop.create_task(self._beat())

    async def stop(self) -> None:
        """Stop reading and end the heartbeat."""
        await self.release()
        # A task that was cancelled keeps the frames in which it waited, and they the server's end of the connection.
        beats, self._beats = self._beats, None
        if beats is not None:
            if not self._is_closing:
                beats.cancel()
            await asyncio.wait((beats,))

    def _inspect_message(self, message: Message) -> bool:
        self._heard = asyncio.get_running_loop().time()
        self._answered.set()
        answer, data = self.heartbeat.answer, message.get("text")
        return answer is None or answer != (message.get("bytes") if data is None else data)

    async def _leave(self) -> None:
        """Tell the endpoint that the client is lost and close the connection."""
        await self.release()
        self._is_closing = True
        self.close(_build_lost_message())
        with suppress(OSError):
            await self._send({"type": "websocket.close", "code": 1011, "reason": "no heartbeat"})

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        heartbeat = self.heartbeat
        kind = "text" if isinstance(heartbeat.message, str) else "bytes"
        sent = self._heard
        while self.ended is None:
            due = max(self._heard, sent) + heartbeat.interval
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
                continue
            sent = loop.time()
            self._answered.clear()
            try:
                await self._send({"type": "websocket.send", kind: heartbeat.message})
            except OSError:
                self.close(_build_lost_message())
                return
            if heartbeat.answer is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(heartbeat.timeout or heartbeat.interval):
                        await self._answered.wait()
                # Without room nobody reads, so that silence says nothing.
                if not self._answered.is_set() and self.has_room and self.ended is None:
                    await self._leave()
                    return


def _build_lost_message() -> Message:
    return build_closed_message(1006, "no heartbeat")
