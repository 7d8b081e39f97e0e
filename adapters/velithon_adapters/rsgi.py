"""The RSGI contract, version 1.6 as Granian 2.8 implements it, as ``typing.Protocol`` classes.

An RSGI application is ``async def app(scope, protocol)``, or an object with ``async def __rsgi__(scope, protocol)``
and, optionally, ``__rsgi_init__(loop)`` and ``__rsgi_del__(loop)``, which the server calls synchronously in each
worker, with an event loop that is not running, before the first and after the last request.

Everything below was read off a running Granian, not only off the specification. What surprises:

- ``HTTPProtocol.response_*`` are plain calls that return at once. The first response wins; a later one is ignored,
  except that a later ``response_stream`` raises `ProtocolError`.
- A status below 100 or above 999 makes Granian's worker process abort; 100 to 199 turn into an empty 500.
- A header whose name or value is malformed is left out of the response, silently.
- Header values are sent as UTF-8. Of a request's headers only visible ASCII is shown.
- Iterating over a body that the client breaks off ends as over a complete one; see `velithon_adapters.body`.
- ``WebsocketProtocol.accept`` called twice, and ``close`` with a status above 999 before ``accept``, abort the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from granian.rsgi import ProtocolClosed, ProtocolError, WebsocketMessageType  # type: ignore[attr-defined]  # Granian imports them there without exporting them


__all__ = [
    "HTTPProtocol",
    "HTTPScope",
    "HTTPStreamTransport",
    "Headers",
    "ProtocolClosed",
    "ProtocolError",
    "RSGIApp",
    "RSGICallable",
    "RSGILifecycle",
    "ResponseHeaders",
    "Scope",
    "WebsocketMessage",
    "WebsocketMessageType",
    "WebsocketProtocol",
    "WebsocketScope",
    "WebsocketTransport",
]

T = TypeVar("T")

ResponseHeaders: TypeAlias = Sequence[tuple[str, str]]
"""Response headers: ``(name, value)`` pairs in order, duplicates allowed, names in any case."""


class Headers(Protocol):
    """A request's headers: names in lower case, values ``str``. Lookups ignore case."""

    def __contains__(self, key: str, /) -> bool:
        """Tell whether a header with that name came."""
        ...

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, each once."""
        ...

    def __len__(self) -> int:
        """Count the names, each once."""
        ...

    def __getitem__(self, key: str, /) -> str:
        """Return the first value of a header.

        Raises:
            KeyError: No such header came.
        """
        ...

    def keys(self) -> list[str]:
        """Return the names, each once, in the order in which they first came."""
        ...

    def values(self) -> list[str]:
        """Return all values, those of one name beside one another."""
        ...

    def items(self) -> list[tuple[str, str]]:
        """Return ``(name, value)`` pairs, one for each value, those of one name beside one another."""
        ...

    @overload
    def get(self, key: str) -> str | None: ...

    @overload
    def get(self, key: str, default: T) -> str | T: ...

    def get(self, key: str, default: object = None) -> object:
        """Return the first value of a header, or ``default``."""
        ...

    def get_all(self, key: str) -> list[str]:
        """Return every value of a header, in order.

        An empty list when it did not come.
        """
        ...


class _Scope(Protocol):
    @property
    def http_version(self) -> str:
        """``"1"`` (that is HTTP/1.0), ``"1.1"`` or ``"2"``."""
        ...

    @property
    def rsgi_version(self) -> str:
        """The version of RSGI that the server speaks, such as ``"1.6"``."""
        ...

    @property
    def server(self) -> str:
        """The server's address, ``"ip:port"`` (IPv6 in brackets), or the path of a UNIX socket."""
        ...

    @property
    def client(self) -> str:
        """The client's address, ``"ip:port"`` (IPv6 in brackets), or an empty string on a UNIX socket."""
        ...

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``, for WebSockets, too."""
        ...

    @property
    def method(self) -> str:
        """The method, in upper case."""
        ...

    @property
    def path(self) -> str:
        """The path, percent-decoded, without the query."""
        ...

    @property
    def query_string(self) -> str:
        """The query as it came, still percent-encoded, without the question mark."""
        ...

    @property
    def authority(self) -> str | None:
        """HTTP/2's ``:authority``, or the one of a request target in absolute form."""
        ...

    @property
    def headers(self) -> Headers:
        """The headers. Granian builds a new view on each access: keep it in a local name."""
        ...


class HTTPScope(_Scope, Protocol):
    """What is known of an HTTP request before its body."""

    @property
    def proto(self) -> Literal["http"]:
        """``"http"``."""
        ...


class WebsocketScope(_Scope, Protocol):
    """What is known of a WebSocket handshake."""

    @property
    def proto(self) -> Literal["ws"]:
        """``"ws"``; the specification's ``"websocket"`` is not what Granian says."""
        ...


class Scope(_Scope, Protocol):
    """The scope of either kind, told apart by ``proto``."""

    @property
    def proto(self) -> str:
        """``"http"`` or ``"ws"``."""
        ...


class HTTPStreamTransport(Protocol):
    """The body of a response that was begun with ``response_stream``.

    The body ends when the server lets go of the transport: once the application returned and dropped it.
    """

    def send_bytes(self, data: bytes, /) -> Awaitable[None]:
        """Hand over a chunk.

        It is queued in the server: slow readers do not make this wait.

        Raises:
            ProtocolClosed: The client is gone or the declared ``content-length`` has been sent.
        """
        ...

    def send_str(self, data: str, /) -> Awaitable[None]:
        """Hand over a chunk of text, sent as UTF-8.

        Raises:
            ProtocolClosed: The client is gone or the declared ``content-length`` has been sent.
        """
        ...


class HTTPProtocol(Protocol):
    """A request's body to read and its one response to give."""

    def __call__(self) -> Awaitable[bytes]:
        """Read the whole body.

        Raises:
            ProtocolError: The body was already read, or its iteration already began.
            ProtocolClosed: The response was given before, or the client broke the body off.
        """
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the body in chunks as they arrive; the last may be empty.

        Raises:
            ProtocolError: The body was already read, or its iteration already began.
        """
        ...

    def client_disconnect(self) -> Awaitable[None]:
        """Return an awaitable that resolves when the client closes the connection.

        It does not resolve when the response is done: whoever asked for it has to cancel it then.
        """
        ...

    def response_empty(self, status: int, headers: ResponseHeaders, /) -> None:
        """Respond without a body."""
        ...

    def response_str(self, status: int, headers: ResponseHeaders, body: str, /) -> None:
        """Respond with text, sent as UTF-8; the server adds ``content-length``, no ``content-type``."""
        ...

    def response_bytes(self, status: int, headers: ResponseHeaders, body: bytes, /) -> None:
        """Respond with bytes; the server adds ``content-length``."""
        ...

    def response_file(self, status: int, headers: ResponseHeaders, file: str, /) -> None:
        """Respond with a whole file, read by the server.

        ``content-length`` and the rest are the application's job. A file that cannot be opened is answered with the
        server's own 404.
        """
        ...

    def response_file_range(self, status: int, headers: ResponseHeaders, file: str, start: int, end: int, /) -> None:
        """Respond with the bytes ``start`` (inclusive) to ``end`` (exclusive) of a file.

        Raises:
            ValueError: ``start`` does not lie before ``end``.
        """
        ...

    def response_stream(self, status: int, headers: ResponseHeaders, /) -> HTTPStreamTransport:
        """Begin a response whose body follows in chunks.

        Raises:
            ProtocolError: A response was given before.
        """
        ...


class WebsocketMessage(Protocol):
    """A message from the client, or the end of the connection."""

    @property
    def kind(self) -> int:
        """A `WebsocketMessageType`: ``close`` (0), ``bytes`` (1) or ``string`` (2)."""
        ...

    @property
    def data(self) -> Any:
        """``bytes`` or ``str`` by ``kind``.

        ``None`` on close, whose code and reason RSGI does not carry.
        """
        ...


class WebsocketTransport(Protocol):
    """An accepted WebSocket."""

    def receive(self) -> Awaitable[WebsocketMessage]:
        """Wait for the next message.

        The client's close arrives as a message of kind ``close``, once.

        Raises:
            ProtocolClosed: The connection broke, or the close was already received.
        """
        ...

    def send_bytes(self, data: bytes, /) -> Awaitable[None]:
        """Send a binary message.

        Raises:
            ProtocolClosed: The connection is known to be closed by the client, which takes a `receive` to find out.
            ProtocolError: The application closed the connection.
        """
        ...

    def send_str(self, data: str, /) -> Awaitable[None]:
        """Send a text message; raises as `send_bytes` does."""
        ...


class WebsocketProtocol(Protocol):
    """A WebSocket handshake to accept or refuse, and the closing of an accepted one."""

    def accept(self) -> Awaitable[WebsocketTransport]:
        """Accept the handshake: at most once. Neither a subprotocol nor headers can be given."""
        ...

    def close(self, status: int | None = None, /) -> object:
        """Refuse the handshake with an HTTP status (403 when ``None``), or close the accepted connection.

        The close frame carries neither code nor reason, whatever ``status`` is.
        """
        ...


RSGICallable: TypeAlias = Callable[[Any, Any], Awaitable[None]]
"""An RSGI application in its bare form: called with a scope and a protocol, both for HTTP or both for a WebSocket."""


class RSGIApp(Protocol):
    """An RSGI application as an object."""

    @property
    def __rsgi__(self) -> RSGICallable:
        """Answers one request or runs one WebSocket."""
        ...


class RSGILifecycle(Protocol):
    """The two hooks that an `RSGIApp` may have."""

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop, /) -> None:
        """Prepare the worker. The loop is not running: ``loop.run_until_complete`` works."""
        ...

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop, /) -> None:
        """Clean the worker up, the loop again not running."""
        ...


def __getattr__(name: str) -> object:
    """Return Granian's own classes, so that an application's `except` clauses hold on every server.

    Granian is imported when one is first asked for: it brings its whole server along.
    """
    if name in ("ProtocolClosed", "ProtocolError", "WebsocketMessageType"):
        import granian.rsgi

        return getattr(granian.rsgi, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
