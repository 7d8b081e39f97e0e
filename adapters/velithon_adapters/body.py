"""Reads a request's body over RSGI, and recognises one that was cut short.

Granian (2.8) ends the iteration over a body that was cut short, or whose chunks are malformed, as it ends a complete
one: nothing is raised. What differs is the number of empty chunks at the end. A complete body ends with one. A broken
one has another before it on HTTP/1, as trailers have; on HTTP/2 they come without end, or the client is known to be
gone a moment later. `BodyChunks` turns that into the exception that Granian raises from ``await protocol()``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from velithon_adapters import rsgi
from velithon_adapters.scope import body_length

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from velithon_adapters.rsgi import HTTPProtocol, Scope

__all__ = ["BodyChunks", "closes_connection", "is_http2", "read_http2"]

# Seconds. When a stream of HTTP/2 is reset, its body ends some microseconds before the client is known to be gone.
_RESET_DELAY = 0.01

# Bytes. What comes along with the head of a request, ten TCP segments at most, is read by Granian itself.
_COMES_WITH_HEAD = 14_600
_WITHOUT_BODY = frozenset({"GET", "HEAD"})


def closes_connection(scope: Scope) -> bool:
    """Tell whether an answer given before the whole body was read may end the connection.

    Granian (2.8) then closes it on HTTP/1, often without a word, and the client's next request on it fails. The answer
    has to say ``connection: close`` (RFC 9112 9.6).
    """
    if scope.method in _WITHOUT_BODY or is_http2(scope):
        return False
    length = body_length(scope)
    return length is None or length > _COMES_WITH_HEAD


def is_http2(scope: Scope) -> bool:
    """Tell whether a request came over HTTP/2."""
    return scope.http_version == "2"


class BodyChunks:
    """The chunks of a request's body, none of them empty.

    Args:
        protocol: The server's protocol object.
        length: How many bytes were declared, or ``None`` when only the end of the body will tell.
        http2: Whether the request came over HTTP/2.

    Raises:
        ProtocolError: The body was already read.
    """

    __slots__ = ("_started", "_chunks", "_empty", "_http2", "left", "protocol")

    def __init__(self, protocol: HTTPProtocol, length: int | None, http2: bool = False) -> None:
        self.protocol = protocol
        self.left = length
        self._chunks: AsyncIterator[bytes] = protocol.__aiter__()
        self._started = False
        self._empty = 0
        self._http2 = http2

    def __aiter__(self) -> BodyChunks:
        """Return the object itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk.

        Raises:
            StopAsyncIteration: The body is complete.
            ProtocolClosed: It never will be: the client left, or broke the framing of its body.
        """
        # HTTP/2 allows an empty frame of data with the end of the stream.
        allowed = 2 if self._http2 else 1
        try:
            while not (chunk := await self._chunks.__anext__()):
                self._empty += 1
                if self._empty > allowed:
                    raise rsgi.ProtocolClosed("The client broke the request's body off.")
        except StopAsyncIteration:
            if self.left or (self.left is None and self._started and self._http2 and await _is_reset(self.protocol)):
                raise rsgi.ProtocolClosed("The client broke the request's body off.") from None
            raise
        self._started = True
        self._empty = 0
        if self.left is not None:
            self.left -= len(chunk)
        return chunk


async def read_http2(protocol: HTTPProtocol, length: int | None) -> bytes:
    """Return the whole body of a request that came over HTTP/2.

    The server's own call also returns when the stream is reset, with what has arrived by then.

    Args:
        protocol: The server's protocol object.
        length: How many bytes were declared, or ``None``.

    Raises:
        ProtocolClosed: The client left before the body was complete.
        ProtocolError: The body was already read.
    """
    body = await protocol()
    # Of an empty body no part was lost, and most requests that declare no length have one.
    if (body and await _is_reset(protocol)) if length is None else len(body) < length:
        raise rsgi.ProtocolClosed("The client broke the request's body off.")
    return body


async def _is_reset(protocol: HTTPProtocol) -> bool:
    gone = asyncio.ensure_future(protocol.client_disconnect())
    done, _ = await asyncio.wait((gone,), timeout=_RESET_DELAY)
    gone.cancel()
    return bool(done)
