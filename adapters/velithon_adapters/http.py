"""ASGI's ``receive`` and ``send`` over an RSGI protocol. The other way is `velithon_adapters.protocol`.

ASGI's ``send`` comes in pieces: `HTTPSend` holds the start of a response until the first piece of its body tells
whether it is whole, which is one RSGI call, or a stream.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, overload

from velithon_adapters import rsgi
from velithon_adapters.body import BodyChunks, closes_connection
from velithon_adapters.outgoing import SEND_AHEAD, Outgoing
from velithon_adapters.protocol import RSGIProtocol, RSGIStreamTransport, check_status, has_body
from velithon_adapters.scope import FILE_RANGE, is_token
from velithon_adapters.sending import Sending

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from velithon_adapters.asgi import Message, Receive, Send
    from velithon_adapters.rsgi import HTTPProtocol, HTTPStreamTransport, Scope

__all__ = ["HTTPReceive", "HTTPSend", "RSGIProtocol", "RSGIStreamTransport", "rsgi_headers", "unwrap"]

logger = logging.getLogger("velithon_adapters")

# Seconds that a response's start waits for its body. One that comes in time goes out as a single call; an event stream
# whose first event takes longer gets its headers sent.
_START_DELAY = 0.005

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 5.5

SERVER_ERROR = (500, [("content-type", "text/plain; charset=utf-8")], b"Internal Server Error")


@lru_cache(maxsize=512)
def _convert_header_name(name: bytes) -> str:
    if not is_token(name):
        raise RuntimeError(f"Invalid HTTP header name: {name!r}.")
    return name.decode("ascii").lower()


def rsgi_headers(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Convert ASGI's response headers to RSGI's.

    Order and duplicates stay; names are in lower case. RSGI servers write values as UTF-8. A value that is UTF-8
    arrives byte for byte; one that is not is read as Latin-1, and its characters above ASCII arrive as UTF-8.

    Args:
        raw: Names and values.

    Raises:
        RuntimeError: A name or a value is not allowed in HTTP. RSGI servers would leave the header out silently.
    """
    headers = []
    for name, value in raw:
        if _FORBIDDEN.search(value):
            raise RuntimeError(f"Invalid HTTP header value: {name!r}: {value!r}.")
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        headers.append((_convert_header_name(name), text))
    return headers


class HTTPReceive:
    """ASGI's ``receive`` over an RSGI protocol.

    Gives the body in chunks as they arrive, then waits for the client to go, or for the response to be done, and says
    ``http.disconnect``.

    Args:
        protocol: The server's protocol object.
        length: How many bytes of body were declared (see `velithon_adapters.scope.body_length`). With it, a body that
            is complete is marked so at once.
        http2: Whether the request came over HTTP/2.
    """

    __slots__ = ("_chunks", "_ended", "_event", "_gone", "_http2", "_length", "over", "protocol")

    def __init__(self, protocol: HTTPProtocol, length: int | None = None, *, http2: bool = False) -> None:
        self.protocol = protocol
        self.over = False
        self._length = length
        self._http2 = http2
        self._ended = False
        self._chunks: BodyChunks | None = None
        self._gone: asyncio.Future[None] | None = None
        self._event: asyncio.Event | None = None

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            ProtocolError: The body was read past this object.
        """
        if not self.over:
            if not self._ended:
                return await self._read()
            await self._wait_for_disconnect()
        return {"type": "http.disconnect"}

    def skip_body(self) -> None:
        """Go on where the body ends: it was read past this object."""
        self._ended = True

    def close(self) -> None:
        """Say that the response is done: whoever waits is told ``http.disconnect``."""
        self.over = True
        if self._event is not None:
            self._event.set()
        self._release()

    async def _read(self) -> Message:
        if self._length == 0:
            self._ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        chunks = self._chunks
        if chunks is None:
            chunks = self._chunks = BodyChunks(self.protocol, self._length, self._http2)
        try:
            chunk = await chunks.__anext__()
        except StopAsyncIteration:
            self._ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        except rsgi.ProtocolClosed:
            self._ended = self.over = True
            return {"type": "http.disconnect"}
        self._ended = chunks.left is not None and chunks.left <= 0
        return {"type": "http.request", "body": chunk, "more_body": not self._ended}

    async def _wait_for_disconnect(self) -> None:
        event = self._event
        if event is None:
            event = self._event = asyncio.Event()
        if self._gone is None:
            self._gone = asyncio.ensure_future(self.protocol.client_disconnect())
            self._gone.add_done_callback(self._note_disconnect)
        # Who gives up waiting may ask again: the server goes on watching until `close`, for it tells some turns late.
        await event.wait()

    def _note_disconnect(self, gone: asyncio.Future[None]) -> None:
        if gone is self._gone and self._event is not None:
            self.over = True
            self._event.set()

    def _release(self) -> None:
        gone, self._gone = self._gone, None
        if gone is not None:
            gone.cancel()


class HTTPSend(Sending):
    """ASGI's ``send`` over an RSGI protocol.

    Once the client is gone messages are dropped silently, as Uvicorn drops them. Run the application inside of it, as a
    context manager: leaving it completes the response. What was raised after a response began is answered with 500 if
    the server was given nothing yet, because nobody else can answer any more.

    Args:
        protocol: The server's protocol object.
        method: The request's method: the answer to ``HEAD`` carries no body.
        receive: What is to be closed as soon as the response is done.
        is_outermost: Whether nobody outside answers what is raised before a response began, so that 500 is sent here.
        scope: The request's scope. With it a stream waits for a client that reads slowly, and one that fails breaks its
            connection off.

    Attributes:
        sent: Whether the server was given a response, or its beginning.
        complete: Whether the response was given whole.
        handed_over: Whether somebody took the protocol past this object (see `unwrap`).
    """

    __slots__ = (
        "_ahead",
        "_client_gone",
        "_headers",
        "_is_outermost",
        "_left",
        "_method",
        "_outgoing",
        "_receive",
        "_scope",
        "_status",
        "_stream",
        "_timer",
        "complete",
        "handed_over",
        "protocol",
        "sent",
    )

    def __init__(
        self,
        protocol: HTTPProtocol,
        *,
        method: str = "GET",
        receive: HTTPReceive | None = None,
        is_outermost: bool = False,
        scope: Scope | None = None,
    ) -> None:
        self.protocol = protocol
        self._scope = scope
        self._outgoing: Outgoing | None = None
        self._ahead = 0
        self.sent = False
        self._is_outermost = is_outermost
        self.complete = False
        self.handed_over = False
        self._method = method
        self._receive = receive
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._left: int | None = None
        self._stream: HTTPStreamTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._client_gone = False

    @property
    def started(self) -> bool:  # type: ignore[override] # read only: it follows from the first message
        """Whether the application has begun a response.

        The server may have been given nothing of it yet.
        """
        return self._status != 0

    @property
    def disconnected(self) -> bool:
        """Whether the client is known to be gone."""
        return self._client_gone or (self._receive is not None and self._receive.over and not self.complete)

    async def __call__(self, message: Message) -> None:
        """Take the next message.

        Raises:
            RuntimeError: The message is out of order, or its status, headers or length are not possible.
        """
        kind = message["type"]
        if self.complete:
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        if not self._status:
            if kind != "http.response.start":
                raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{kind}'.")
            self._start(message)
        elif kind == "http.response.body":
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.pathsend" and not self.sent:
            self._send_file(message["path"])
        elif kind == FILE_RANGE and not self.sent:
            self._send_file(message["path"], (message["start"], message["end"]))
        else:
            raise RuntimeError(f"Expected ASGI message 'http.response.body', but got '{kind}'.")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complete the response of an application that returned; settle that of one that raised."""
        if self._stream is not None and not self.disconnected and self._scope is not None:
            await (self._outgoing or Outgoing(self._scope, self.protocol)).abort()
        if error is None:
            self._finish()
        elif self._is_outermost or self._status:
            self._fail()
        else:
            self._release()

    def _release(self) -> None:
        """Let go of the response: a stream ends here."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stream = None

    def _fail(self) -> None:
        """Answer 500 if the server was given nothing yet; else only let go."""
        self._release()
        if not self.sent and not self.handed_over:
            self.sent = True
            self.protocol.response_bytes(*SERVER_ERROR)

    def _finish(self) -> None:
        """Check that the application, which has returned, gave a whole response; else log it and answer 500."""
        if not self.complete and not self.handed_over and not self.disconnected:
            logger.error("ASGI callable returned without %s response.", "completing" if self._status else "starting")
            self._fail()
        else:
            self._release()

    def _start(self, message: Message) -> None:
        status = message["status"]
        check_status(status)
        headers = rsgi_headers(message.get("headers", ()))
        for name, value in headers:
            if name == "content-length":
                if not value.isdecimal():
                    raise RuntimeError(f"Invalid content-length: {value!r}.")
                self._left = int(value)
        if status == 204 and self._left is not None:
            # RFC 9110 8.6: no content-length with 204.
            headers = [header for header in headers if header[0] != "content-length"]
        if status >= 300 and self._scope is not None and closes_connection(self._scope):
            headers = [*(header for header in headers if header[0] != "connection"), ("connection", "close")]
        self._status = int(status)
        self._headers = headers
        # Who knows the length has the body at hand.
        if self._left is None and has_body(status) and self._method != "HEAD":
            self._timer = asyncio.get_running_loop().call_later(_START_DELAY, self._open_stream)

    def _open_stream(self) -> None:
        self._timer = None
        if not self.sent:
            self._begin_stream()

    def _begin_stream(self) -> None:
        self.sent = True
        try:
            self._stream = self.protocol.response_stream(self._status, self._headers)
        except rsgi.ProtocolError:
            # Somebody answered past this object, and the first answer stands.
            self._client_gone = True

    async def _send_body(self, body: bytes, more_body: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._method == "HEAD" or not has_body(self._status):
            self._send_without_body(body, more_body)
            return
        left = self._left
        if left is not None:
            self._left = left = left - len(body)
            if left < 0:
                raise RuntimeError("Response content longer than Content-Length.")
            if left > 0 and not more_body and not self.disconnected:
                raise RuntimeError("Response content shorter than Content-Length.")
        if not self.sent:
            if not more_body:
                self._send_whole(body)
                return
            self._begin_stream()
        if body and not self.disconnected:
            await self._send_chunk(body)
        if not more_body:
            self._complete()

    async def _send_chunk(self, body: bytes) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            await stream.send_bytes(body if type(body) is bytes else bytes(body))
        except rsgi.ProtocolClosed:
            self._client_gone = True
            self._stream = None
            return
        self._ahead += len(body)
        if self._ahead > SEND_AHEAD and self._scope is not None:
            if self._outgoing is None:
                self._outgoing = Outgoing(self._scope, self.protocol)
            ahead, self._ahead = self._ahead, 0
            await self._outgoing.drain(ahead)

    def _send_whole(self, body: bytes) -> None:
        self.sent = True
        if body:
            self.protocol.response_bytes(self._status, self._headers, body if type(body) is bytes else bytes(body))
        else:
            self.protocol.response_empty(self._status, self._headers)
        self._complete()

    def _send_without_body(self, body: bytes, more_body: bool) -> None:
        if not self.sent:
            self.sent = True
            if body and not more_body and self._left is None and has_body(self._status):
                # The answer to HEAD has the length that GET's would have (RFC 9110 9.3.2).
                self._headers.append(("content-length", str(len(body))))
            self.protocol.response_empty(self._status, self._headers)
        if not more_body:
            self._complete()

    def _send_file(self, path: str | os.PathLike[str], part: tuple[int, int] | None = None) -> None:
        self._release()
        self.sent = True
        if self._method == "HEAD" or not has_body(self._status):
            self.protocol.response_empty(self._status, self._headers)
        elif part is None:
            self.protocol.response_file(self._status, self._headers, os.fspath(path))
        else:
            self.protocol.response_file_range(self._status, self._headers, os.fspath(path), *part)
        self._complete()

    def _complete(self) -> None:
        self.complete = True
        # The server ends the stream when the last reference is gone, whatever the application does afterwards.
        self._stream = None
        if self._receive is not None:
            self._receive.close()


@overload
def unwrap(protocol: RSGIProtocol, /) -> tuple[Receive, Send] | None: ...


@overload
def unwrap(receive: Receive, send: Send, /) -> HTTPProtocol | None: ...


def unwrap(first: object, second: object = None, /) -> tuple[Receive, Send] | HTTPProtocol | None:
    """Return what a wrapper wraps.

    So a layer that passed the wrapper on unchanged costs nothing.

    ``unwrap(protocol)`` returns the ``(receive, send)`` under an `RSGIProtocol`; ``unwrap(receive, send)`` returns the
    RSGI protocol under `HTTPReceive` and `HTTPSend`. From then on the caller alone reads and responds.

    Returns:
        ``None`` if these are no wrappers of ours, do not belong together, or were already used.
    """
    if second is None:
        if type(first) is not RSGIProtocol or first.started or first._body_taken or first._ahead is not None:
            return None
        first._handed_over = True
        return first._receive, first._send
    if type(first) is not HTTPReceive or type(second) is not HTTPSend or first.protocol is not second.protocol:
        return None
    if first._chunks is not None or first._ended or first.over or second._status:
        return None
    second.handed_over = True
    return first.protocol
