"""Responses that send a file."""

from __future__ import annotations

import os
import stat
from contextlib import asynccontextmanager, closing
from copy import copy
from functools import lru_cache
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from starlette import responses as starlette
from starlette.datastructures import MutableHeaders

from velithon.background import assign_owner
from velithon.concurrency import run_in_threadpool
from velithon.responses.base import Response
from velithon.responses.headers import Pairs, content_type_pairs
from velithon_adapters.http import HTTPReceive, HTTPSend
from velithon_adapters.scope import FILE_RANGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from starlette.types import Message, Receive, Scope, Send

    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["FileResponse"]


_OF_A_FILE = frozenset({"content-length", "etag", "last-modified"})
# What speaks of the file, or lets a cache keep the answer, is not true of the refusal of a range.
_OF_CONTENT = frozenset(
    {b"accept-ranges", b"cache-control", b"content-disposition", b"content-encoding", b"content-language"}
    | {b"content-length", b"content-range", b"content-type", b"etag", b"expires", b"last-modified"}
)


@lru_cache(maxsize=1024)
def _get_file_kind(path: str) -> tuple[str, Pairs]:
    """Return a file's media type, by its name, and the headers that follow from it."""
    media_type = guess_type(path)[0] or "application/octet-stream"
    return media_type, [*content_type_pairs(media_type, "utf-8"), ("accept-ranges", "bytes")]


@lru_cache(maxsize=1024)
def _build_state_headers(size: int, modified: float) -> Pairs:
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

    def __init__(
        self,
        path: str | os.PathLike[str],
        status_code: int = 200,
        *args: Any,
        stat_result: os.stat_result | None = None,
        **kwargs: Any,
    ) -> None:
        if not args and not kwargs:
            # What most endpoints and static files return; Starlette's constructor makes each of these headers anew.
            self.path = path
            self.status_code = status_code
            self.filename = None
            self.stat_result = stat_result
            self.background = None
            self.media_type, self._pairs = _get_file_kind(os.fspath(path))
            if stat_result is not None:
                self._pairs = [*self._pairs, *_build_state_headers(stat_result.st_size, stat_result.st_mtime)]
            return
        if stat_result is not None:
            kwargs["stat_result"] = stat_result
        starlette.FileResponse.__init__(self, path, status_code, *args, **kwargs)
        if self.background is not None:
            assign_owner(self.background)

    async def __call__(self, scope: Any, receive: object, send: Send | None = None) -> None:
        """Send over ASGI, `(scope, receive, send)`, or over RSGI, `(scope, protocol)`; then run the background task."""
        if send is not None:
            self.sends_ranges = FILE_RANGE in (scope.get("extensions") or ())
            send = self._complete_refusals(self.track(send))
            if scope["type"] == "http":
                await self._file_asgi(scope, cast("Receive", receive), send)
                return
        await super().__call__(scope, receive, send)

    async def _file_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        looked_at = self
        if self.stat_result is None:
            # This very response may be sent again when the file is another.
            looked_at = copy(self)
            looked_at.stat_result = await run_in_threadpool(_regular_status, os.fspath(self.path))
            looked_at.set_stat_headers(looked_at.stat_result)
        assert looked_at.stat_result is not None  # narrows the type
        if looked_at.stat_result.st_size < self.chunk_size:
            # All is one message, so nobody has to watch whether the client leaves, for which Starlette starts a task.
            scope = {**scope, "asgi": {**scope.get("asgi", {}), "spec_version": "2.4"}}
        await super(FileResponse, looked_at).__call__(scope, receive, send)

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[_Reader]:  # type: ignore[override]  # has what Starlette asks of a file
        with closing(_Reader(os.fspath(self.path))) as reader:
            yield reader

    def _iterate_body(self) -> AsyncIterator[bytes]:
        return _iterate_file(self.path, self.chunk_size)

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Look at the file and let the server send it.

        What takes longer is returned to be awaited.

        Raises:
            RuntimeError: There is no such file.
        """
        if scope.method != "GET" or self._raw is not None or self.status_code != 200:
            self._check(scope.method)
            return self._send_file_rsgi(scope, protocol)
        pairs = self._pairs or []
        found = self.stat_result
        path = os.fspath(self.path)
        if found is None:
            for name, _ in pairs:
                if name in _OF_A_FILE:
                    return self._send_file_rsgi(scope, protocol)
            # Cheaper than a thread by far, and the server is about to read the file anyway.
            found = _regular_status(path)
            pairs = [*pairs, *_build_state_headers(found.st_size, found.st_mtime)]
        wanted = scope.headers.get("range")
        if wanted is not None:
            return self._range_rsgi(scope, protocol, wanted, pairs, found.st_size)
        self._started = True
        protocol.response_file(200, pairs, path)
        return None

    def _range_rsgi(
        self, scope: HTTPScope, protocol: HTTPProtocol, wanted: str, pairs: Pairs, size: int
    ) -> Awaitable[None] | None:
        """Let the server send one range; what is not one is returned to be awaited."""
        if scope.headers.get("if-range") is not None:
            return self._send_file_rsgi(scope, protocol)
        try:
            ranges = self._parse_range_header(wanted, size)
        except (starlette.MalformedRangeHeader, starlette.RangeNotSatisfiable):
            return self._send_file_rsgi(scope, protocol)
        if len(ranges) != 1:
            return self._send_file_rsgi(scope, protocol)
        start, end = ranges[0]
        headers = [pair for pair in pairs if pair[0] != "content-length"]
        headers += [("content-range", f"bytes {start}-{end - 1}/{size}"), ("content-length", str(end - start))]
        self._started = True
        protocol.response_file_range(206, headers, os.fspath(self.path), start, end)
        return None

    async def _send_file_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> None:
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


class _Reader:
    """A file that is opened by the thread which first reads of it.

    Most are read in one go.
    """

    __slots__ = ("_file", "_path", "_start")

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._start: int | None = None

    async def seek(self, start: int) -> None:
        """Read from there on."""
        self._start = start

    async def read(self, size: int) -> bytes:
        """Read as many bytes, fewer at the end."""
        return await run_in_threadpool(self._read, size)

    def _read(self, size: int) -> bytes:
        if self._file is None:
            self._file = open(self._path, "rb")
        if self._start is not None:
            self._file.seek(self._start)
            self._start = None
        return self._file.read(size)

    def close(self) -> None:
        """Close the file, which takes no thread as nothing was written."""
        if self._file is not None:
            self._file.close()


def _regular_status(path: str) -> os.stat_result:
    """Return a file's status.

    Raises:
        RuntimeError: There is no such file.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError as exc:
        raise RuntimeError(f"File at path {path} does not exist.") from exc
    if not stat.S_ISREG(found.st_mode):
        raise RuntimeError(f"File at path {path} is not a file.")
    return found


async def _iterate_file(path: str | os.PathLike[str], size: int) -> AsyncIterator[bytes]:
    with closing(_Reader(os.fspath(path))) as file:
        while chunk := await file.read(size):
            yield chunk
