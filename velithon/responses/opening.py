"""Sends a stream's status and headers: with its first chunk, or after a delay.

What a generator raises before its first chunk can still be answered as any other exception. But a stream that has
nothing to say for a while must not leave its client without an answer, so the wait has a bound.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Send

    from velithon.responses.stream import StreamingResponse
    from velithon_adapters.rsgi import HTTPProtocol, HTTPStreamTransport, ResponseHeaders

__all__ = ["ASGIOpening", "RSGIOpening"]


class RSGIOpening:
    """The beginning of a stream over RSGI, and the server's transport from then on.

    Args:
        response: The stream.
        protocol: The server's protocol object.
        headers: As RSGI has them.

    Attributes:
        started: Whether it was sent.
        transport: The server's, while the stream lasts.
    """

    __slots__ = ("_headers", "_protocol", "_response", "started", "transport")

    def __init__(self, response: StreamingResponse, protocol: HTTPProtocol, headers: ResponseHeaders) -> None:
        self._response = response
        self._protocol = protocol
        self._headers = headers
        self.started = False
        self.transport: HTTPStreamTransport | None = None

    def open(self) -> HTTPStreamTransport:
        """Send the status and the headers."""
        self.started = self._response.started = True
        transport = self.transport = self._protocol.response_stream(self._response.status_code, self._headers)
        return transport

    def open_late(self) -> None:
        """Send them without a chunk, unless they were sent."""
        if not self.started:
            self.open()

    def close(self) -> None:
        """Let go of the transport, which ends the body."""
        self.transport = None


class ASGIOpening:
    """The beginning of a stream over ASGI.

    Args:
        response: The stream.
        send: The server's.
        delay: Seconds after which it is sent without a chunk.

    Attributes:
        pending: Whether nobody has waited yet for its being sent.
    """

    __slots__ = ("_response", "_send", "_task", "_timer", "pending")

    def __init__(self, response: StreamingResponse, send: Send, delay: float) -> None:
        self.pending = True
        self._response = response
        self._send = send
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(delay, self._open_late)

    async def open(self) -> None:
        """Send the status and the headers, or see that they were sent.

        Raises:
            OSError: The client left.
        """
        self.pending = False
        if self._task is not None:
            await self._task
        else:
            self._cancel_timer()
            await self._start()

    def stop(self) -> None:
        """Let nothing be sent any more."""
        self._cancel_timer()
        if self._task is not None:
            self._task.cancel()
            self._task.add_done_callback(_ignore_failure)

    async def _start(self) -> None:
        response = self._response
        response.started = True
        await self._send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )

    def _open_late(self) -> None:
        # In a task of its own, as the response's waits for the generator.
        self._task = asyncio.get_running_loop().create_task(self._start())

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _ignore_failure(task: asyncio.Task[None]) -> None:
    """Take the exception of a beginning that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
