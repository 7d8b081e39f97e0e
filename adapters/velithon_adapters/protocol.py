"""RSGI's HTTP protocol over ASGI's ``receive`` and ``send``.

RSGI's ``response_*`` are plain calls, ASGI's ``send`` is to be awaited: `RSGIProtocol` keeps the response and sends it
when the application returns, or at the loop's next turn if that is earlier.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from velithon_adapters import rsgi
from velithon_adapters.readahead import ReadAhead
from velithon_adapters.sending import Sending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import TracebackType

    from velithon_adapters.asgi import ASGIScope, Message, Receive, Send
    from velithon_adapters.rsgi import ResponseHeaders

__all__ = ["RSGIProtocol", "RSGIStreamTransport", "check_status", "has_body"]

logger = logging.getLogger("velithon_adapters")

_FILE_CHUNK = 256 * 1024  # bytes


def check_status(status: int) -> None:
    """Check a response's status.

    Raises:
        RuntimeError: It is outside 200 to 599. Granian would send an empty 500 for less, and end the worker below 100.
    """
    if not 200 <= status <= 599:
        raise RuntimeError(f"Invalid HTTP status code {status!r} in a response: it must be from 200 to 599.")


def has_body(status: int) -> bool:
    """Tell whether a response with that status carries a body (RFC 9110 6.4.1)."""
    return status != 204 and status != 304


class BodyReadAhead(ReadAhead):
    """Reads one part of a body ahead, and knows whether its last part came."""

    __slots__ = ("is_body_complete",)

    def __init__(self, receive: Receive) -> None:
        super().__init__(receive)
        self.is_body_complete = False

    def _inspect_message(self, message: Message) -> bool:
        if message["type"] == "http.request" and not message.get("more_body", False):
            self.is_body_complete = True
        return True


class RSGIProtocol(Sending):
    """RSGI's protocol over ASGI's ``receive`` and ``send``.

    Args:
        scope: The ASGI scope, whose method and extensions matter.
        receive: The server's ``receive``.
        send: The server's ``send``.

    Run the application inside of it, as a context manager: leaving it sends what is still to be sent. Without a
    response that logs an error and answers with an empty 500, as Granian does. Of an application that raised, what it
    begun with before is sent, and a stream is left without its end.
    """

    __slots__ = (
        "_ahead",
        "_broken",
        "_body_taken",
        "_delivery",
        "_handle",
        "_handed_over",
        "_pending",
        "_receive",
        "_scope",
        "_send",
        "_stream",
        "_task",
        "_waiters",
        "started",
    )

    def __init__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        self.started = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._handed_over = False
        self._body_taken = False
        # Whether the server raised from `send`.
        self._broken = False
        # Made when something is read, or read ahead.
        self._ahead: BodyReadAhead | None = None
        self._waiters: list[asyncio.Task[None]] = []
        self._delivery = asyncio.Lock()
        self._pending: Callable[[], Awaitable[None]] | None = None
        self._handle: asyncio.Handle | None = None
        self._task: asyncio.Task[None] | None = None
        self._stream: RSGIStreamTransport | None = None

    # Reading

    async def __call__(self) -> bytes:
        """Read the whole body.

        Raises:
            ProtocolError: The body was already read.
            ProtocolClosed: The client broke it off.
        """
        self._take_body()
        return b"".join([chunk async for chunk in self._read_chunks()])

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the body in chunks as they arrive.

        Raises:
            ProtocolError: The body was already read.
            ProtocolClosed: The client broke it off. Granian would end the iteration.
        """
        self._take_body()
        return self._read_chunks()

    def client_disconnect(self) -> asyncio.Future[None]:
        """Return a future that resolves when the client is gone.

        To be cancelled once it is no longer wanted.

        ASGI tells of a disconnect only after the body, of which no more than one chunk is read ahead: a body that is
        left unread may hide it.
        """
        loop = asyncio.get_running_loop()
        if self._gone:
            known = loop.create_future()
            known.set_result(None)
            return known
        waiter = loop.create_task(self._wait_for_disconnect())
        self._waiters.append(waiter)
        return waiter

    async def _wait_for_disconnect(self) -> None:
        await self._get_read_ahead().wait_until_ended()

    def _take_body(self) -> None:
        if self._body_taken:
            raise rsgi.ProtocolError("The body was already read.")
        self._body_taken = True

    async def _read_chunks(self) -> AsyncIterator[bytes]:
        reading = self._get_read_ahead()
        more_body = True
        while more_body:
            message = await reading.receive()
            if message["type"] != "http.request":
                raise rsgi.ProtocolClosed("The client is gone.")
            more_body = message.get("more_body", False)
            if body := message.get("body", b""):
                yield body

    def _get_read_ahead(self) -> BodyReadAhead:
        ahead = self._ahead
        if ahead is None:
            ahead = self._ahead = BodyReadAhead(self._receive)
        return ahead

    @property
    def _gone(self) -> bool:
        return self._broken or (self._ahead is not None and self._ahead.ended is not None)

    # Responding

    def response_empty(self, status: int, headers: ResponseHeaders) -> None:
        """Respond without a body."""
        self._schedule_response(self._send_whole, status, headers, b"")

    def response_str(self, status: int, headers: ResponseHeaders, body: str) -> None:
        """Respond with text, sent as UTF-8; ``content-length`` is added."""
        self._schedule_response(self._send_whole, status, headers, body.encode())

    def response_bytes(self, status: int, headers: ResponseHeaders, body: bytes) -> None:
        """Respond with bytes; ``content-length`` is added."""
        self._schedule_response(self._send_whole, status, headers, bytes(body))

    def response_file(self, status: int, headers: ResponseHeaders, file: str) -> None:
        """Respond with a whole file.

        The server reads it where it can (``http.response.pathsend``), else a thread does. A file that cannot be opened
        is answered with 404.
        """
        self._schedule_response(self._send_file, status, headers, file, 0, None)

    def response_file_range(self, status: int, headers: ResponseHeaders, file: str, start: int, end: int) -> None:
        """Respond with the bytes ``start`` (inclusive) to ``end`` (exclusive) of a file.

        Raises:
            ValueError: ``start`` does not lie before ``end``.
        """
        if not 0 <= start < end:
            raise ValueError("Invalid range")
        self._schedule_response(self._send_file, status, headers, file, start, end)

    def response_stream(self, status: int, headers: ResponseHeaders) -> RSGIStreamTransport:
        """Begin a response whose body follows in chunks; it ends when the application returns.

        Raises:
            ProtocolError: A response was given before.
        """
        if self.started:
            raise rsgi.ProtocolError("A response was already given.")
        self._schedule_response(self._send_start, status, headers)
        self._stream = RSGIStreamTransport(self)
        self._get_read_ahead().watch()
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send what is still to be sent, and let go of everything that runs for this request."""
        try:
            if error is None:
                await self._finish()
            else:
                await self._flush()
        finally:
            self._abandon()

    async def _finish(self) -> None:
        if self._handed_over:
            return
        if not self.started:
            if self._gone:
                return
            logger.error("RSGI callable returned without a response.")
            self.response_empty(500, [])
        await self._flush()
        if self._stream is not None:
            self._stream.closed = True
            await self._deliver({"type": "http.response.body", "body": b"", "more_body": False})

    async def _flush(self) -> None:
        """Send what was given so far."""
        if self._task is not None:
            await self._task
        async with self._delivery:
            await self._run_pending()

    def take_back(self) -> None:
        """Answer for the request again, after who `velithon_adapters.unwrap` handed it over to sent nothing."""
        self._handed_over = False

    def _abandon(self) -> None:
        """Let go of everything that runs for this request."""
        if self._handle is not None:
            self._handle.cancel()
        if self._task is not None:
            self._task.cancel()
        for waiter in self._waiters:
            waiter.cancel()
        if self._ahead is not None:
            self._ahead.close({"type": "http.disconnect"})

    def _schedule_response(
        self, deliver: Callable[..., Awaitable[None]], status: int, headers: ResponseHeaders, *more: object
    ) -> None:
        if self.started:
            return
        check_status(status)
        raw = [(name.lower().encode("latin-1"), value.encode()) for name, value in headers]
        self.started = True
        self._pending = partial(deliver, status, raw, *more)
        # Most applications return right after responding, and then `finish` sends without a task.
        self._handle = asyncio.get_running_loop().call_soon(self._start_sending)

    def _start_sending(self) -> None:
        self._handle = None
        if self._pending is not None:
            self._task = asyncio.get_running_loop().create_task(self._send_in_task())

    async def _send_in_task(self) -> None:
        async with self._delivery:
            await self._run_pending()

    async def _run_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            await pending()

    async def _deliver(self, message: Message) -> None:
        # Who broke the body's framing may still be there to be told.
        if self._broken or (self._ahead is not None and self._ahead.ended is not None and self._ahead.is_body_complete):
            return
        try:
            await self._send(message)
        except OSError:
            # ASGI 2.4: the client is gone.
            self._broken = True

    async def _send_start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._deliver({"type": "http.response.start", "status": status, "headers": headers})

    async def _send_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        bodiless = self._scope["method"] == "HEAD"
        if not has_body(status):
            body = b""
        elif not (bodiless and not body) and not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % len(body)))
        await self._send_start(status, headers)
        await self._deliver({"type": "http.response.body", "body": b"" if bodiless else body, "more_body": False})

    async def _send_file(
        self, status: int, headers: list[tuple[bytes, bytes]], path: str, start: int, end: int | None
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            file = await loop.run_in_executor(None, open, path, "rb")
        except OSError:
            logger.info("Cannot open file %s", path)
            await self._send_whole(404, [], b"Not found")
            return
        try:
            await self._send_start(status, headers)
            if self._scope["method"] == "HEAD" or not has_body(status):
                await self._deliver({"type": "http.response.body", "body": b"", "more_body": False})
                return
            if end is None and "http.response.pathsend" in (self._scope.get("extensions") or ()):
                absolute = await loop.run_in_executor(None, os.path.abspath, path)
                await self._deliver({"type": "http.response.pathsend", "path": absolute})
                return
            await loop.run_in_executor(None, file.seek, start)
            left = None if end is None else end - start
            while not self._gone:
                size = _FILE_CHUNK if left is None else min(_FILE_CHUNK, left)
                chunk = await loop.run_in_executor(None, file.read, size)
                if left is not None:
                    left -= len(chunk)
                more_body = bool(chunk) and left != 0
                await self._deliver({"type": "http.response.body", "body": chunk, "more_body": more_body})
                if not more_body:
                    return
        finally:
            file.close()


class RSGIStreamTransport:
    """The body of a response that `RSGIProtocol.response_stream` began."""

    __slots__ = ("_protocol", "closed")

    def __init__(self, protocol: RSGIProtocol) -> None:
        self._protocol = protocol
        self.closed = False

    async def send_bytes(self, data: bytes) -> None:
        """Hand over a chunk; waits while the server holds too much.

        Raises:
            ProtocolClosed: The client is gone, or the application returned.
        """
        protocol = self._protocol
        async with protocol._delivery:
            await protocol._run_pending()
            if data and not self.closed and protocol._scope["method"] != "HEAD":
                await protocol._deliver({"type": "http.response.body", "body": bytes(data), "more_body": True})
        if self.closed or protocol._gone:
            raise rsgi.ProtocolClosed("The response is closed.")

    async def send_str(self, data: str) -> None:
        """Hand over a chunk of text, sent as UTF-8; raises as `send_bytes` does."""
        await self.send_bytes(data.encode())
