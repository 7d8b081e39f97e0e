"""The response, with its body in memory, and its plainest kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from starlette import responses as starlette
from starlette.datastructures import MutableHeaders

from velithon.background import assign_owner
from velithon.datastructures import check_header
from velithon.responses.custom import keep_overrides
from velithon.responses.headers import Pairs, ResponseHeaders, _remove_header, content_type_pairs
from velithon_adapters.body import closes_connection
from velithon_adapters.http import rsgi_headers
from velithon_adapters.sending import Sending, TrackedSend

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Mapping
    from datetime import datetime
    from typing import Self

    from starlette.background import BackgroundTask
    from starlette.datastructures import URL
    from starlette.types import Send

    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["HTMLResponse", "PlainTextResponse", "RedirectResponse", "Response"]


# Those with a body about which HTTP has no rule of its own.
_PLAIN_STATUSES = frozenset(range(200, 600)) - {204, 304}


class Response(starlette.Response):
    """A response with its body in memory.

    Args:
        content: The body: `bytes`, `memoryview` or `str` (encoded with `charset`); `None` is an empty body.
        status_code: 200 to 599.
        headers: Names and values; names are sent in lower case.
        media_type: The `Content-Type`; `text/*` gets a charset. The class's own when `None`.
        background: Runs once the response is on its way.
    """

    # Whether sending counts as started once it was asked for, where `_sending` does not know better.
    _started = True
    # What the response is sent through, where that is tracked: see `started`.
    _sending: Sending | None = None
    # Whether it comes from inside the layers, where the users' exception handlers are.
    inside = True
    # Whether a class of a user says how it is sent.
    overridden = False
    _pairs: Pairs | None = None
    _raw: list[tuple[bytes, bytes]] | None = None
    # What a response becomes whose body is replaced by chunks: `StreamingResponse`, whose module knows this one.
    _stream_class: type[Response]

    # Whether ASGI gets the body that is in memory: no class behind this one among the bases has a way of its own.
    _sends_body = True

    def __init_subclass__(cls) -> None:
        keep_overrides(cls)
        cls._sends_body = super().__call__ is starlette.Response.__call__

    def __init__(
        self,
        content: object = None,
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
            assign_owner(background)
        self.body = self.render(content)
        if headers is None:
            self._pairs = content_type_pairs(self.media_type, self.charset)
        else:
            self.init_headers(headers)

    @classmethod
    def from_pairs(cls, body: bytes, status_code: int, pairs: Pairs) -> Self:
        """Build a response from headers as RSGI sends them.

        The constructor's checks are left out.

        Args:
            body: The whole body.
            status_code: 200 to 599.
            pairs: `list[tuple[str, str]]`, names in lower case; the response has this very list.
        """
        made = cls.__new__(cls)
        made.status_code = status_code
        made.background = None
        made.body = body
        made._pairs = pairs
        made._raw = None
        return made

    @classmethod
    def from_starlette(cls, response: starlette.Response) -> Self:
        """Convert one of Starlette's responses to this class.

        Status, headers, body and background task stay.
        """
        made = cls.__new__(cls)
        made.status_code = response.status_code
        made.body = response.body
        made.background = response.background
        made.raw_headers = response.raw_headers
        return made

    @property
    def started(self) -> bool:
        """Whether sending has begun, so that an error cannot be answered any more.

        Known once sending was tried.
        """
        return self._started if self._sending is None else self._sending.started

    @started.setter
    def started(self, value: bool) -> None:
        self._started = value

    def track(self, send: Send) -> TrackedSend:
        """Return a `send` over the one given, by which `started` is known."""
        self._sending = tracked = TrackedSend(send)
        return tracked

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Take the headers given and add `Content-Type` unless they have it."""
        shared = content_type_pairs(self.media_type, self.charset)
        if headers is None:
            self._pairs = shared
            return
        pairs = [check_header(name, value) for name, value in headers.items()]
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
            raw = []
            body = self.__dict__.get("body")
            lacks_length = self._has_length()
            for name, value in self._pairs or ():
                raw.append((name.encode("latin-1"), value.encode("latin-1")))
                if name == "content-length":
                    lacks_length = False
            if body is not None and lacks_length:
                length = (b"content-length", b"%d" % len(body))
                # Starlette's order: what was given, the length, the type.
                raw.insert(len(raw) - 1 if raw and raw[-1][0] == b"content-type" else len(raw), length)
            self._raw = raw
        return raw

    @raw_headers.setter
    def raw_headers(self, value: list[tuple[bytes, bytes]]) -> None:
        self._raw = value

    if TYPE_CHECKING:
        body_iterator: Any
    else:

        @property
        def body_iterator(self) -> AsyncIterator[bytes]:
            """The body as a dispatch layer reads it from Starlette's responses; what is assigned is sent instead."""
            return self._iterate_body()

        @body_iterator.setter
        def body_iterator(self, chunks: AsyncIterable[object]) -> None:
            pairs = self._pairs or []
            headers = self._raw or [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
            background = self.background
            # The layer holds this very object, and returns it.
            self.__class__ = self._stream_class
            self.init_raw(self.status_code, headers, chunks)
            self.background = background
            vars(self).pop("body", None)

    def _iterate_body(self) -> AsyncIterator[bytes]:
        # Whoever reads them may have put others in their place by then.
        return _yield_chunk(bytes(self.body))

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
                    pairs = _remove_header(pairs, name)
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

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: int | None = None,
        expires: datetime | str | int | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: Literal["lax", "strict", "none"] | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Add a cookie; see Starlette's.

        Raises:
            ValueError: `path` or `domain` holds `;` or a control character, and would add attributes of its own
                (RFC 6265, section 4.1.1).
        """
        for name, text in (("path", path), ("domain", domain)):
            if text is not None and (";" in text or not text.isprintable()):
                raise ValueError(f"A cookie's {name} holds no ';' and no control character: {text!r}.")
        super().set_cookie(key, value, max_age, expires, path, domain, secure, httponly, samesite, partitioned)

    async def __call__(self, scope: Any, receive: Any, send: Send | None = None) -> None:
        """Send over ASGI, `(scope, receive, send)`, or over RSGI, `(scope, protocol)`; then run the background task."""
        if send is not None:
            if scope["type"] != "http" or not self._sends_body:
                if scope["type"] == "http":
                    self._check_headers(scope.get("method", "GET"))
                await super().__call__(scope, receive, send)
                return
            if self._raw is not None or not 200 <= self.status_code <= 599:
                self._check_headers(scope.get("method", "GET"))
            # As Starlette's own does, at a call less.
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body})
            if self.background is not None:
                await self.background()
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
        """Send over RSGI.

        What needs more than one call is returned to be awaited. The background task is the caller's.

        Raises:
            ValueError: The status is outside 200 to 599, or the body has not the length that its headers say.
            RuntimeError: A header is not allowed in HTTP.
        """
        status = self.status_code
        body = self.body
        if (
            body
            and self._raw is None
            and type(body) is bytes
            and (
                status == 200
                or (status in _PLAIN_STATUSES and (scope.method == "GET" or not self._ends_connection(scope)))
            )
        ):
            protocol.response_bytes(status, self._pairs or [], body)
            return None
        headers = self._build_headers(scope)
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

    def _ends_connection(self, scope: HTTPScope) -> bool:
        """Tell whether this is a refusal or a redirect after which the server may close the connection."""
        return self.status_code >= 300 and closes_connection(scope)

    def _build_headers(self, scope: HTTPScope) -> Pairs:
        """Return the headers for RSGI, with ``connection: close`` where the client has to know it.

        Raises:
            ValueError: See `_check`.
            RuntimeError: A header is not allowed in HTTP.
        """
        headers = self._check_headers(scope.method)
        if self._ends_connection(scope) and not any(name == "connection" for name, _ in headers):
            return [*headers, ("connection", "close")]
        return headers

    def _check_headers(self, method: str) -> Pairs:
        """Return the headers for RSGI, where nothing is wrong with this response; what is wrong is answered with 500.

        Raises:
            ValueError: See `_check`.
            RuntimeError: A header is not allowed in HTTP.
        """
        self._check(method)
        try:
            return self.rsgi_headers()
        except RuntimeError:
            self._started = False
            raise

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
            self._started = False
            raise ValueError(problem)


class HTMLResponse(Response):
    """A response of `text/html`."""

    media_type = "text/html"


class PlainTextResponse(Response):
    """A response of `text/plain`."""

    media_type = "text/plain"


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
            assign_owner(background)


async def _yield_chunk(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body
