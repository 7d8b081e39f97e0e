"""Responses that send a file."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any

import anyio
from starlette import responses as starlette
from starlette.datastructures import MutableHeaders

from velithon.background import assign_owner
from velithon.responses.base import Response
from velithon.responses.headers import Pairs, content_type_pairs
from velithon_adapters.http import HTTPReceive, HTTPSend
from velithon_adapters.scope import FILE_RANGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from starlette.types import Message, Send

    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["FileResponse"]


_OF_A_FILE = frozenset({"content-length", "etag", "last-modified"})
# What speaks of the file, or lets a cache keep the answer, is not true of the refusal of a range.
_OF_CONTENT = frozenset(
    {b"accept-ranges", b"cache-control", b"content-disposition", b"content-encoding", b"content-language"}
    | {b"content-length", b"content-range", b"content-type", b"etag", b"expires", b"last-modified"}
)


@lru_cache(maxsize=1024)
def _file_kind(path: str) -> tuple[str, Pairs]:
    """Return a file's media type, by its name, and the headers that follow from it."""
    media_type = guess_type(path)[0] or "application/octet-stream"
    return media_type, [*content_type_pairs(media_type, "utf-8"), ("accept-ranges", "bytes")]


@lru_cache(maxsize=1024)
def _file_state(size: int, modified: float) -> Pairs:
    """Return the headers of a file's state, as Starlette makes them."""
    response = starlette.FileResponse("", media_type="text/plain")
    response.set_stat_headers(os.stat_result((0, 0, 0, 0, 0, 0, size, 0, modified, 0)))
    return [(name, response.headers[name]) for name in ("content-length", "last-modified", "etag")]


class FileResponse(Response, starlette.FileResponse):
    """A file, with `ETag`, `Last-Modified` and ranges; on Granian the server reads it.

    Takes Starlette's arguments.
    """

    # A file may turn out to be missing when it is sent.
    _started = False
    # Whether who sends takes a part of a file by its name.
    sends_ranges = False

    def __init__(self, path: str | os.PathLike[str], status_code: int = 200, *args: Any, **kwargs: Any) -> None:
        if not args and not kwargs:
            # What most endpoints return; Starlette's constructor makes each of these headers anew.
            self.path = path
            self.status_code = status_code
            self.filename = None
            self.stat_result = None
            self.background = None
            self.media_type, self._pairs = _file_kind(os.fspath(path))
            return
        starlette.FileResponse.__init__(self, path, status_code, *args, **kwargs)
        if self.background is not None:
            assign_owner(self.background)

    async def __call__(self, scope: Any, receive: object, send: Send | None = None) -> None:
        """Send over ASGI, `(scope, receive, send)`, or over RSGI, `(scope, protocol)`; then run the background task."""
        if send is not None:
            self.sends_ranges = FILE_RANGE in (scope.get("extensions") or ())
            send = self._complete_refusals(self.track(send))
        await super().__call__(scope, receive, send)

    def _iterate_body(self) -> AsyncIterator[bytes]:
        return _iterate_file(self.path, self.chunk_size)

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Look at the file and let the server send it.

        What takes longer is returned to be awaited.

        Raises:
            RuntimeError: There is no such file.
        """
        if self.stat_result is not None or self._raw is not None or self.status_code != 200:
            self._check(scope.method)
            return self._file_rsgi(scope, protocol)
        if scope.method != "GET" or scope.headers.get("range") is not None:
            return self._file_rsgi(scope, protocol)
        pairs = self._pairs or []
        for name, _ in pairs:
            if name in _OF_A_FILE:
                return self._file_rsgi(scope, protocol)
        path = os.fspath(self.path)
        try:
            # Cheaper than a thread by far, and the server is about to read the file anyway.
            found = os.stat(path)
        except FileNotFoundError as exc:
            raise RuntimeError(f"File at path {self.path} does not exist.") from exc
        if not stat.S_ISREG(found.st_mode):
            raise RuntimeError(f"File at path {self.path} is not a file.")
        self._started = True
        protocol.response_file(200, [*pairs, *_file_state(found.st_size, found.st_mtime)], path)
        return None

    async def _file_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> None:
        headers = [
            (name.encode(), value.encode("latin-1"))
            for name in ("range", "if-range")
            if (value := scope.headers.get(name)) is not None
        ]
        asgi = {
            "type": "http",
            "method": scope.method,
            "headers": headers,
            "asgi": {"spec_version": "2.4"},
            "extensions": {"http.response.pathsend": {}},
        }
        self.sends_ranges = True
        background, self.background = self.background, None
        self._sending = send = HTTPSend(protocol, method=scope.method, scope=scope)
        try:
            async with send:
                await starlette.FileResponse.__call__(
                    self, asgi, HTTPReceive(protocol, 0), self._complete_refusals(send)
                )
        finally:
            self.background = background

    def _complete_refusals(self, send: Send) -> Send:
        """Return a `send` that gives a refused range, a response of Starlette's own, the headers that layers set."""
        if self.status_code != 200:  # answers with the whole file, whatever the range
            return send

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                kept = [pair for pair in self.raw_headers if pair[0].lower() not in _OF_CONTENT]
                message = {**message, "headers": [*message["headers"], *kept]}
            await send(message)

        return complete

    async def _handle_simple(self, send: Send, send_header_only: bool, send_pathsend: bool) -> None:
        if self._has_length():
            await super()._handle_simple(send, send_header_only, send_pathsend)
            return
        # 204 and 304 have no body, and the first no length either (RFC 9110 8.6).
        headers = [(name, value) for name, value in self.raw_headers if name.lower() != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _handle_single_range(
        self, send: Send, start: int, end: int, file_size: int, send_header_only: bool
    ) -> None:
        if not self.sends_ranges or send_header_only:
            await super()._handle_single_range(send, start, end, file_size, send_header_only)
            return
        headers = MutableHeaders(raw=list(self.raw_headers))
        headers["content-range"] = f"bytes {start}-{end - 1}/{file_size}"
        headers["content-length"] = str(end - start)
        await send({"type": "http.response.start", "status": 206, "headers": headers.raw})
        await send({"type": FILE_RANGE, "path": str(self.path), "start": start, "end": end})

    async def _handle_multiple_ranges(
        self, send: Send, ranges: list[tuple[int, int]], file_size: int, send_header_only: bool
    ) -> None:
        await super()._handle_multiple_ranges(send, ranges, file_size, send_header_only)


async def _iterate_file(path: str | os.PathLike[str], size: int) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while chunk := await file.read(size):
            yield chunk
