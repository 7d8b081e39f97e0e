"""Heartbeats of WebSockets as messages of the application.

The pings of RFC 6455 are the server's: Uvicorn sends them by itself (`--ws-ping-interval`), Granian sends none, and
neither ASGI nor RSGI lets an application ask for one. What every server can carry is a message.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Heartbeat", "beating"]

# How many messages may wait for the endpoint while the connection is watched.
WAITING = 32


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


def beating(app: ASGIApp, heartbeat: Heartbeat | float) -> ASGIApp:
    """Return a WebSocket application whose connections have a heartbeat."""
    settings = heartbeat if isinstance(heartbeat, Heartbeat) else Heartbeat(heartbeat)

    async def beats(scope: Scope, receive: Receive, send: Send) -> None:
        connection = Beating(settings, receive, send)
        try:
            await app(scope, connection.receive, connection.send)
        finally:
            await connection.stop()

    return beats


class Beating:
    """One connection with a heartbeat: a task reads, so that answers are seen also while the endpoint only sends."""

    def __init__(self, heartbeat: Heartbeat, receive: Receive, send: Send) -> None:
        self.heartbeat = heartbeat
        self._receive = receive
        self._send = send
        self._messages: asyncio.Queue[Message] = asyncio.Queue(WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        self._over: Message | None = None
        self._heard = 0.0
        self._full = False
        self._closing = False
        self._answered = asyncio.Event()

    async def receive(self) -> Message:
        """Return the next message that is no answer to a heartbeat."""
        if not self._tasks:
            return await self._receive()
        if self._over is not None and self._messages.empty():
            return self._over
        return await self._messages.get()

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            OSError: The client is gone.
        """
        kind = message["type"]
        if self._over is not None and kind != "websocket.close":
            raise OSError("The client is gone.")
        if kind == "websocket.close" and self._tasks:
            await self._stop_reading()
        if self._over is None:
            await self._send(message)
            if kind == "websocket.close":
                self._end({"type": "websocket.disconnect", "code": message.get("code", 1000), "reason": ""})
        if kind == "websocket.accept":
            loop = asyncio.get_running_loop()
            self._heard = loop.time()
            self._tasks = [loop.create_task(self._read()), loop.create_task(self._beat())]

    async def stop(self) -> None:
        """End the tasks."""
        for task in self._tasks[: 1 if self._closing else None]:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        # A task that was cancelled keeps the frames in which it waited, and they the server's end of the connection.
        self._tasks = []

    def _end(self, message: Message) -> None:
        if self._over is None:
            self._over = message
            if not self._messages.full():
                # Whoever waits for a message gets this one; a full queue has nobody waiting.
                self._messages.put_nowait(message)

    async def _stop_reading(self) -> None:
        # Granian's ASGI mode closes no connection that somebody reads from.
        self._tasks[0].cancel()
        await asyncio.wait(self._tasks[:1])

    async def _leave(self) -> None:
        """Tell the endpoint and close the connection."""
        await self._stop_reading()
        self._closing = True
        self._end(_lost())
        with suppress(OSError):
            await self._send({"type": "websocket.close", "code": 1011, "reason": "no heartbeat"})

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await self._receive()
            self._heard = loop.time()
            self._answered.set()
            if message["type"] == "websocket.disconnect":
                self._end(message)
                return
            data = message.get("text")
            if self.heartbeat.answer is not None and self.heartbeat.answer == (
                message.get("bytes") if data is None else data
            ):
                continue
            self._full = self._messages.full()
            await self._messages.put(message)
            self._full = False

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        heartbeat = self.heartbeat
        kind = "text" if isinstance(heartbeat.message, str) else "bytes"
        sent = self._heard
        while self._over is None:
            due = max(self._heard, sent) + heartbeat.interval
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
                continue
            sent = loop.time()
            self._answered.clear()
            try:
                await self._send({"type": "websocket.send", kind: heartbeat.message})
            except OSError:
                self._end(_lost())
                return
            if heartbeat.answer is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(heartbeat.timeout or heartbeat.interval):
                        await self._answered.wait()
                # With a full queue nobody reads, so that silence says nothing.
                if not self._answered.is_set() and not self._full and self._over is None:
                    await self._leave()
                    return


def _lost() -> Message:
    return {"type": "websocket.disconnect", "code": 1006, "reason": "no heartbeat"}
