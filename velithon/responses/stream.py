"""Responses whose body is made while it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette import responses as starlette

from velithon.background import assign_owner
from velithon.concurrency import close_iterator, iterate_in_threadpool
from velithon.exceptions import as_exception
from velithon.responses.base import Response
from velithon.responses.disconnect import DisconnectWatch, StopWatch
from velithon.responses.opening import ASGIOpening, RSGIOpening
from velithon_adapters import rsgi
from velithon_adapters.outgoing import SEND_AHEAD, Outgoing

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Mapping

    from starlette.background import BackgroundTask
    from starlette.responses import Content, ContentStream
    from starlette.types import Send

    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["StreamingResponse"]


class StreamingResponse(Response, starlette.StreamingResponse):
    """A response whose body is made while it is sent.

    Args:
        content: An iterable or async iterable of `bytes`, `str` or `memoryview`. A plain iterable runs in a thread.
        status_code: 200 to 599.
        headers: Names and values.
        media_type: The `Content-Type`.
        background: Runs after the last chunk, also when the client went away.
    """

    start_delay: float = 1.0
    """Seconds that the status and the headers wait for the first chunk: what is raised before it is a 500."""

    _started = False
    # Each has its own: here there is no body to make it of.
    body_iterator: Any = None

    def __init__(
        self,
        content: ContentStream,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        if not hasattr(content, "__aiter__"):
            content = iterate_in_threadpool(content)
        starlette.StreamingResponse.__init__(self, content, status_code, headers, media_type, background)
        if background is not None:
            assign_owner(background)

    def init_raw(self, status_code: int, headers: list[tuple[bytes, bytes]], content: AsyncIterable[object]) -> None:
        """Take the place of `__init__` where the headers are known as ASGI has them."""
        self.status_code = status_code
        self.raw_headers = headers
        self.body_iterator = content
        self.background = None

    def encode_for_layers(self) -> None:
        """Let dispatch layers read bytes, as they do from Starlette's `call_next`, whatever the content yields."""
        if type(self.body_iterator) is not _EncodedChunks:
            self.body_iterator = _EncodedChunks(self.body_iterator, self._encode_chunk)

    async def __call__(self, scope: Any, receive: object, send: Send | None = None) -> None:
        """Send as any response; the answer to `HEAD` has no body, so that none is made."""
        if send is None or scope["type"] != "http" or scope.get("method") != "HEAD" or self._streams_itself():
            await super().__call__(scope, receive, send)
            return
        self._check("HEAD")
        self._started = True
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._skip_body()
        if self.background is not None:
            await self.background()

    def _streams_itself(self) -> bool:
        return type(self).stream_response is not StreamingResponse.stream_response

    async def _skip_body(self) -> None:
        """Leave the body, which has no reader."""
        await close_iterator(self.body_iterator)

    async def stream_response(self, send: Send) -> None:
        """Send over ASGI and close the generator, whatever ended the stream."""
        self._started = False
        opening = ASGIOpening(self, send, self.start_delay)
        watch = StopWatch()
        try:
            if not self.start_delay:
                await opening.open()
            async for chunk in self.body_iterator:
                if opening.pending:
                    await opening.open()
                if type(chunk) is not bytes:
                    chunk = self._encode_chunk(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if opening.pending:
                await opening.open()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (SystemExit, KeyboardInterrupt) as exc:
            # Starlette may run this in a task of its own, where it would end the loop.
            raise as_exception(exc) from exc
        except asyncio.CancelledError as exc:
            if (raised := as_exception(exc)) is not exc:  # the generator's own
                raise raised from exc
            if not watch.cancelled:
                raise
        finally:
            watch.stop()
            opening.stop()
            await close_iterator(self.body_iterator)

    def _encode_chunk(self, chunk: Content) -> bytes:
        # As Starlette reads it. Of a number `bytes` would make as many zeros.
        return bytes(chunk) if isinstance(chunk, bytes | memoryview) else chunk.encode(self.charset)

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Start the stream; the rest is returned to be awaited."""
        return self._stream_rsgi(scope, protocol)

    async def _stream_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> None:
        opening = RSGIOpening(self, protocol, self._build_headers(scope))
        if scope.method == "HEAD":
            opening.open()
            opening.close()
            await self._skip_body()
            return
        self._started = False
        if not self.start_delay:
            opening.open()
        watch = DisconnectWatch(protocol, opening.open_late, self.start_delay)
        try:
            try:
                await self._send_chunks(scope, protocol, opening)
            finally:
                await close_iterator(self.body_iterator)
        except asyncio.CancelledError as exc:
            if (raised := as_exception(exc)) is not exc:  # the generator's own
                await self._break_off(scope, protocol)
                raise raised from exc
            if not watch.cancelled:
                raise
            if not watch.left:
                await self._break_off(scope, protocol)
        except BaseException:
            await self._break_off(scope, protocol)
            raise
        finally:
            # The server ends the body when nobody holds its transport, which an exception's traceback would.
            opening.close()
            watch.stop()

    async def _break_off(self, scope: HTTPScope, protocol: HTTPProtocol) -> None:
        """Let the client see that the stream is not complete."""
        if self._started:
            await Outgoing(scope, protocol).abort()

    async def _send_chunks(self, scope: HTTPScope, protocol: HTTPProtocol, opening: RSGIOpening) -> None:
        send: Callable[[bytes], Awaitable[None]] | None = None
        outgoing = None
        ahead = 0
        try:
            async for chunk in self.body_iterator:
                if type(chunk) is not bytes:
                    chunk = self._encode_chunk(chunk)
                if send is None:
                    send = (opening.transport or opening.open()).send_bytes
                try:
                    await send(chunk)
                except rsgi.ProtocolClosed:  # the client left, which ends the stream and is no failure
                    break
                ahead += len(chunk)
                if ahead > SEND_AHEAD:
                    outgoing = outgoing or Outgoing(scope, protocol)
                    await outgoing.drain(ahead)
                    ahead = 0
        finally:
            # The frame would hold the transport for as long as an exception's traceback lives.
            del send
        opening.open_late()
        opening.close()


class _EncodedChunks:
    """The chunks of a stream as bytes; closing it closes the stream, begun or not."""

    __slots__ = ("_chunks", "_content", "_encode")

    def __init__(self, content: AsyncIterable[Content], encode: Callable[[Content], bytes]) -> None:
        self._content = content
        self._chunks = aiter(content)
        self._encode = encode

    def __aiter__(self) -> _EncodedChunks:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        return chunk if type(chunk) is bytes else self._encode(chunk)

    async def aclose(self) -> None:
        await close_iterator(self._content)


Response._stream_class = StreamingResponse
