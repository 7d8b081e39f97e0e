"""Responses that can be sent over either protocol.

Each class is Starlette's, with one addition: headers are kept as pairs of `str`, as RSGI wants them, until somebody
asks for the bytes that ASGI wants. A response that nobody touches is sent on Granian with a list that was made once.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from functools import lru_cache
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any

import orjson
from starlette import responses as starlette
from starlette._exception_handler import wrap_app_handling_exceptions
from starlette.datastructures import MutableHeaders

from velithon.background import claim
from velithon.concurrency import iterate_in_threadpool
from velithon.datastructures import ResponseHeaders, checked_header
from velithon.departure import Departure
from velithon.encoders import has_non_finite
from velithon.overrides import keep_overrides
from velithon_adapters import rsgi
from velithon_adapters.http import HTTPReceive, HTTPSend, rsgi_headers
from velithon_adapters.scope import FILE_RANGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping

    from starlette.background import BackgroundTask
    from starlette.datastructures import URL
    from starlette.types import ASGIApp, Message, Receive, Send

    from velithon.requests import Request
    from velithon.sse import EventSourceResponse
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = [
    "EventSourceResponse",
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "ORJSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "StreamingResponse",
    "UJSONResponse",
]

Pairs = list[tuple[str, str]]


@lru_cache(maxsize=256)
def content_type_pairs(media_type: str | None, charset: str) -> Pairs:
    """Return the shared header list of a response that has a media type and nothing else. Never change it in place."""
    if media_type is None:
        return []
    if media_type.startswith("text/") and "charset=" not in media_type.lower():
        media_type = f"{media_type}; charset={charset}"
    return [("content-type", media_type)]


JSON_PAIRS = content_type_pairs("application/json", "utf-8")


class Response(starlette.Response):
    """A response with its body in memory.

    Args:
        content: The body: `bytes`, `memoryview` or `str` (encoded with `charset`); `None` is an empty body.
        status_code: 200 to 599.
        headers: Names and values; names are sent in lower case.
        media_type: The `Content-Type`; `text/*` gets a charset. The class's own when `None`.
        background: Runs once the response is on its way.
    """

    # Whether sending has begun, once it was asked for; a file's or an application's may fail before that.
    started = True
    # Whether it comes from inside the layers, where the users' exception handlers are.
    inside = True
    # Whether a class of a user says how it is sent.
    overridden = False
    _pairs: Pairs | None = None
    _raw: list[tuple[bytes, bytes]] | None = None

    def __init_subclass__(cls) -> None:
        keep_overrides(cls)

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.status_code = status_code
        if media_type is not None:
            self.media_type = media_type
        self.background = background
        if background is not None:
            claim(background)
        self.body = self.render(content)
        if headers is None:
            self._pairs = content_type_pairs(self.media_type, self.charset)
        else:
            self.init_headers(headers)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Take the headers given and add `Content-Type` unless they have it."""
        shared = content_type_pairs(self.media_type, self.charset)
        if headers is None:
            self._pairs = shared
            return
        pairs = [checked_header(name, value) for name, value in headers.items()]
        if shared and not any(name == "content-type" for name, _ in pairs):
            pairs += shared
        self._pairs = pairs
        if any(name == "content-length" for name, _ in pairs):
            # A length that somebody else worked out is compared with the body, which the direct way does not do.
            self._raw = self.raw_headers

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI sends them: `list[tuple[bytes, bytes]]`, names in lower case."""
        raw = self._raw
        if raw is None:
            pairs = self._pairs or []
            raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
            body = self.__dict__.get("body")
            if body is not None and self._has_length() and not any(name == "content-length" for name, _ in pairs):
                length = (b"content-length", b"%d" % len(body))
                # Starlette's order: what was given, the length, the type.
                raw.insert(len(raw) - 1 if raw and raw[-1][0] == b"content-type" else len(raw), length)
            self._raw = raw
        return raw

    @raw_headers.setter
    def raw_headers(self, value: list[tuple[bytes, bytes]]) -> None:
        self._raw = value

    def _has_length(self) -> bool:
        return self.status_code >= 200 and self.status_code not in (204, 304)

    def rsgi_headers(self) -> Pairs:
        """Return the headers as RSGI sends them: `list[tuple[str, str]]`, names in lower case."""
        return rsgi_headers(self._raw) if self._raw is not None else self._pairs or []

    def set_header(self, name: str, value: str) -> None:
        """Set one header, replacing what it had. `name` is in lower case."""
        if self._raw is not None:
            MutableHeaders(raw=self._raw)[name] = value
        else:
            pairs: Iterable[tuple[str, str]] = self._pairs or ()
            for known, _ in pairs:
                if known == name:
                    pairs = _without(pairs, name)
                    break
            self._pairs = [*pairs, (name, value)]

    def append_header(self, name: str, value: str) -> None:
        """Add one header beside those of the same name. `name` is in lower case."""
        if self._raw is not None:
            self._raw.append((name.encode("latin-1"), value.encode("latin-1")))
        else:
            self._pairs = [*(self._pairs or ()), (name, value)]

    def get_header(self, name: str) -> str | None:
        """Return the first value of one header, or `None`. `name` is in lower case."""
        if self._raw is not None:
            return MutableHeaders(raw=self._raw).get(name)
        for key, value in self._pairs or ():
            if key == name:
                return value
        return None

    def add_vary(self, name: str) -> None:
        """Add a request header's name to `Vary`, unless it is there."""
        if self._raw is not None:
            values = MutableHeaders(raw=self._raw).getlist("vary")
        else:
            values = [value for key, value in self._pairs or () if key == "vary"]
        present = {part.strip().lower() for value in values for part in value.split(",")}
        if not present & {"*", name.lower()}:
            self.set_header("vary", ", ".join([*values, name]))

    @property
    def headers(self) -> MutableHeaders:
        """The headers, to be read and changed."""
        # Made anew each time: kept here, the two would hold each other until the garbage collector came.
        return ResponseHeaders(self)

    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        """Send over ASGI, `(scope, receive, send)`, or over RSGI, `(scope, protocol)`; then run the background task."""
        if send is not None:
            if scope["type"] == "http":
                self._check(scope["method"])
            await super().__call__(scope, receive, send)
            return
        if scope.proto != "http":
            # A layer's answer to a handshake: RSGI carries its status.
            receive.close(self.status_code)
            return
        pending = self.send_rsgi(scope, receive)
        if pending is not None:
            await pending
        if self.background is not None:
            await self.background()

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Send over RSGI; what needs more than one call is returned to be awaited. The background task is the caller's.

        Raises:
            ValueError: The status is outside 200 to 599, or the body has not the length that its headers say.
            RuntimeError: A header is not allowed in HTTP.
        """
        status = self.status_code
        body = self.body
        if status == 200 and body and type(body) is bytes and self._raw is None:
            protocol.response_bytes(200, self._pairs or [], body)
            return None
        headers = self._checked_headers(scope.method)
        if body and status != 204 and status != 304:
            protocol.response_bytes(status, headers, body if type(body) is bytes else bytes(body))
        elif self._has_length():
            if scope.method == "HEAD" and self.get_header("content-length") is None:
                headers = [*headers, ("content-length", "0")]
            # An empty body still says so: `content-length: 0`, which response_empty would leave out on HTTP/2.
            protocol.response_bytes(status, headers, b"")
        else:
            protocol.response_empty(status, headers)
        return None

    def _checked_headers(self, method: str) -> Pairs:
        """Return the headers for RSGI, where nothing is wrong with this response; what is wrong is answered with 500.

        Raises:
            ValueError: See `_check`.
            RuntimeError: A header is not allowed in HTTP.
        """
        self._check(method)
        self.started = False
        headers = self.rsgi_headers()
        self.started = True
        return headers

    def _check(self, method: str) -> None:
        """Refuse what servers would send as it is, or die of.

        Granian ends its worker for a status below 100; and where the body is longer than its declared length, the
        client takes the rest for the next response on the connection.

        Raises:
            ValueError: The status is outside 200 to 599, or the body has not the length that its headers say.
        """
        problem = None
        if not 200 <= self.status_code <= 599:
            problem = f"A response's status must be from 200 to 599, not {self.status_code}."
        elif self._raw is not None and method != "HEAD" and self.status_code not in (204, 304):
            body = self.__dict__.get("body")
            if body is not None:
                length = b"%d" % len(body)
                for name, value in self._raw:
                    if name.lower() == b"content-length" and value != length:
                        problem = f"The body has {len(body)} bytes, but the header content-length says {value!r}."
        if problem is not None:
            self.started = False
            raise ValueError(problem)


def _without(pairs: Iterable[tuple[str, str]], name: str) -> Pairs:
    return [pair for pair in pairs if pair[0] != name]


class HTMLResponse(Response):
    """A response of `text/html`."""

    media_type = "text/html"


class PlainTextResponse(Response):
    """A response of `text/plain`."""

    media_type = "text/plain"


class JSONResponse(Response):
    """A response of `application/json`, encoded as UTF-8 without spaces.

    orjson encodes what it can; what it refuses (keys that are no strings, integers over 64 bits) goes through `json`.
    """

    media_type = "application/json"

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        if headers is None and media_type is None and background is None and type(self) is JSONResponse:
            # What most endpoints return; the way through the base class takes twice as long.
            try:
                body = orjson.dumps(content)
            except TypeError:
                body = _plain_json(content)
            self.status_code = status_code
            self.background = None
            # Partition, as `in` tries bytes as an integer first, which fails at three times the cost of the search.
            if body.partition(b"null")[1] and has_non_finite(content):
                body = _plain_json(content)
            self.body = body
            self._pairs = JSON_PAIRS
            # Read for every answer; the class's own takes four times as long to find.
            self._raw = None
        else:
            super().__init__(content, status_code, headers, media_type, background)

    def render(self, content: Any) -> bytes:
        """Encode `content`.

        Raises:
            TypeError: Something in it has no JSON form.
            ValueError: A number is infinite or not a number, which JSON cannot say.
        """
        try:
            body = orjson.dumps(content)
        except TypeError:
            return _plain_json(content)
        if body.partition(b"null")[1] and has_non_finite(content):
            return _plain_json(content)
        return body


def _plain_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


class ORJSONResponse(JSONResponse):
    """What orjson makes of the content: a number that JSON cannot say becomes `null`."""

    def render(self, content: Any) -> bytes:
        """Encode `content`.

        Raises:
            TypeError: orjson has no JSON form for something in it.
        """
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)


class UJSONResponse(JSONResponse):
    """FastAPI's name for what `JSONResponse` does here."""


class RedirectResponse(Response, starlette.RedirectResponse):
    """A redirect: an empty body and a `Location`.

    Args:
        url: Where to; quoted where it must be.
        status_code: 307 keeps the method, 303 turns it into GET.
        headers: Further headers.
        background: Runs once the response is on its way.
    """

    def __init__(
        self,
        url: str | URL,
        status_code: int = 307,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        starlette.RedirectResponse.__init__(self, url, status_code, headers, background)
        if background is not None:
            claim(background)


class StreamingResponse(Response, starlette.StreamingResponse):
    """A response whose body is made while it is sent.

    Args:
        content: An iterable or async iterable of `bytes`, `str` or `memoryview`. A plain iterable runs in a thread.
        status_code: 200 to 599.
        headers: Names and values.
        media_type: The `Content-Type`.
        background: Runs after the last chunk, also when the client went away.
    """

    def __init__(
        self,
        content: AsyncIterable[Any] | Iterable[Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        if not hasattr(content, "__aiter__"):
            content = iterate_in_threadpool(content)
        starlette.StreamingResponse.__init__(self, content, status_code, headers, media_type, background)
        if background is not None:
            claim(background)

    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        """Send as any response; the answer to `HEAD` has no body, so that none is made."""
        if send is None or scope["type"] != "http" or scope["method"] != "HEAD" or self._streams_itself():
            await super().__call__(scope, receive, send)
            return
        self._check("HEAD")
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._make_none()
        if self.background is not None:
            await self.background()

    def _streams_itself(self) -> bool:
        return type(self).stream_response is not StreamingResponse.stream_response

    async def _make_none(self) -> None:
        """Leave the body, which has no reader."""
        await _close(self.body_iterator)

    async def stream_response(self, send: Send) -> None:
        """Send over ASGI and close the generator, whatever ended the stream."""
        try:
            await super().stream_response(send)
        finally:
            await _close(self.body_iterator)

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Start the stream; the rest is returned to be awaited."""
        return self._stream_rsgi(scope, protocol)

    async def _stream_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> None:
        headers = self._checked_headers(scope.method)
        if scope.method == "HEAD":
            protocol.response_stream(self.status_code, headers)
            await self._make_none()
            return
        departure = Departure(protocol)
        send: Any = protocol.response_stream(self.status_code, headers).send_bytes
        try:
            try:
                async for chunk in self.body_iterator:
                    if type(chunk) is not bytes:
                        # As Starlette reads it. Of a number `bytes` would make as many zeros.
                        chunk = bytes(chunk) if isinstance(chunk, bytes | memoryview) else chunk.encode(self.charset)
                    try:
                        await send(chunk)
                    except rsgi.ProtocolClosed:  # the client left, which ends the stream and is no failure
                        break
            finally:
                # The server ends the body when nobody holds its transport, which an exception's traceback would.
                del send
                await _close(self.body_iterator)
        except asyncio.CancelledError:
            if not departure.caused:
                raise
        finally:
            departure.forget()


async def _close(iterator: Any) -> None:
    """Run a generator's cleanup now rather than when it is collected."""
    aclose = getattr(iterator, "aclose", None)
    if aclose is not None:
        await aclose()


_OF_A_FILE = frozenset({"content-length", "etag", "last-modified"})


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

    # Whether who sends takes a part of a file by its name.
    sends_ranges = False

    def __init__(self, path: Any, status_code: int = 200, *args: Any, **kwargs: Any) -> None:
        self.started = False
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
            claim(self.background)

    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        """Send over ASGI, `(scope, receive, send)`, or over RSGI, `(scope, protocol)`; then run the background task."""
        if send is not None:
            self.sends_ranges = FILE_RANGE in (scope.get("extensions") or ())
        await super().__call__(scope, receive, send)

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Look at the file and let the server send it; what takes longer is returned to be awaited.

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
        self.started = True
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
        try:
            await starlette.FileResponse.__call__(
                self, asgi, HTTPReceive(protocol, 0), HTTPSend(protocol, method=scope.method)
            )
        finally:
            self.background = background

    async def _handle_simple(self, send: Send, send_header_only: bool, send_pathsend: bool) -> None:
        self.started = True
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
        self.started = True
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
        self.started = True
        await super()._handle_multiple_ranges(send, ranges, file_size, send_header_only)


class AppResponse(Response):
    """Stands for the answer of an ASGI application, which runs when the response is sent."""

    started = False

    def __init__(self, app: ASGIApp, request: Request) -> None:
        self.app = app
        self.request = request
        self.background = None

    async def __call__(self, scope: Any, receive: Any, send: Any = None) -> None:
        """Run the application over the face at hand."""
        if send is None:
            await self._bridged(self.request._send)
        else:
            await self._run(send)

    async def _run(self, send: Any) -> None:
        async def watched(message: Message) -> None:
            self.started = True
            await send(message)

        await self.handled(self.request.scope, self.receive_of(self.request), watched)

    async def _bridged(self, send: Any) -> None:
        try:
            await self._run(send)
        except BaseException:
            if self.started:
                send.fail()
            else:
                send.close()
            raise
        else:
            send.finish()

    @property
    def handled(self) -> ASGIApp:
        """The application behind the users' exception handlers, as Starlette's layer wraps what is mounted."""
        if not self.inside:
            return self.app
        scope = self.request.scope
        errors = getattr(scope.get("app"), "_errors", None)
        if errors is not None:
            scope.setdefault("starlette.exception_handlers", errors.tables)
        return wrap_app_handling_exceptions(self.app, self.request)

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Run the application over the bridge."""
        return self(scope, protocol)

    @staticmethod
    def receive_of(request: Request) -> Receive:
        """Return the request's receive callable, with a body that was read already put back in front of it."""
        if getattr(request, "_body", None) is not None:
            request.put_back()
        return request.receive


def __getattr__(name: str) -> Any:
    if name == "EventSourceResponse":
        from velithon.sse import EventSourceResponse

        return EventSourceResponse
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
