"""RSGI's objects in memory, as strict as Granian 2.8 is.

Each rule was observed on the server: what it refuses is refused here with the same exception class. Where Granian hides
a mistake of the application (a second response, an impossible status) or dies of it, the mistake is recorded, and the
client raises it as `RSGIMisuseError`.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from velithon._runtime.json_values import JSONObject
from velithon_adapters.rsgi import ProtocolError

# RFC 9110, section 5.6.2: token
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# what the `http` crate takes as a value: no control characters but the tab
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_VISIBLE = re.compile(rb"[\t\x20-\x7e]*")

HeaderList = Sequence[tuple[str, str]]


class RSGIMisuseError(AssertionError):
    """The application misused RSGI.

    Granian hides this, or ends its worker process for it.
    """


class Headers:
    """A request's headers.

    Names are in lower case, and grouped in the order of their first appearance.

    A value that is not visible ASCII is not given to the application, although its name is.

    Args:
        raw: The headers as they are on the wire, `list[tuple[bytes, bytes]]`.
    """

    __slots__ = ("_values",)

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str | None]] = {}
        for name, value in raw:
            shown = value.decode("ascii") if _VISIBLE.fullmatch(value) else None
            self._values.setdefault(name.decode("ascii").lower(), []).append(shown)

    def __contains__(self, key: str) -> bool:
        return _require_text(key).lower() in self._values

    def __getitem__(self, key: str) -> str:
        return self._values[_require_text(key).lower()][0] or ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the first value of `key`, or `default`."""
        first = self._values.get(_require_text(key).lower(), [None])[0]
        return default if first is None else first

    def get_all(self, key: str) -> list[str]:
        """Return all values of `key`."""
        return [value for value in self._values.get(_require_text(key).lower(), ()) if value is not None]

    def items(self) -> list[tuple[str, str]]:
        """Return one pair for each value."""
        return [(name, value) for name in self._values for value in self.get_all(name)]

    def keys(self) -> list[str]:
        """Return each name once."""
        return list(self._values)

    def values(self) -> list[str]:
        """Return all values."""
        return [value for _, value in self.items()]


@dataclass(frozen=True)
class Scope:
    """RSGI's scope: what is known of a request before its body.

    Assignments raise `AttributeError`, as on Granian.
    """

    proto: str
    method: str
    path: str
    query_string: str
    headers: Headers
    scheme: str
    server: str
    client: str
    http_version: str = "1.1"
    rsgi_version: str = "1.6"
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A file as a body: the bytes from `start` up to, and without, `end`.

    None stands for the whole file.
    """

    path: str
    start: int = 0
    end: int | None = None


Body = bytes | FileSlice | asyncio.Queue[bytes | None]


@dataclass(slots=True)
class Answer:
    """What the application answered.

    The names of headers are in lower case; the body has one of three forms.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: Body


class _Done:
    """An awaitable that is finished already: Granian's sends take effect when they are called, and never wait."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class StreamTransport:
    """Where the application writes a streamed body."""

    def __init__(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._queue = queue
        self.closed = False

    def send_bytes(self, data: bytes) -> Awaitable[None]:
        """Send a chunk.

        Raises:
            TypeError: The chunk is not bytes.
        """
        return self._send(_require_bytes(data))

    def send_str(self, data: str) -> Awaitable[None]:
        """Send a chunk of text as UTF-8.

        Raises:
            TypeError: The chunk is not a string.
        """
        return self._send(_require_text(data).encode())

    def _send(self, chunk: bytes) -> Awaitable[None]:
        if chunk and not self.closed:
            self._queue.put_nowait(chunk)
        return _Done()


@dataclass(slots=True)
class HTTPProtocol:
    """RSGI's protocol object for one HTTP request.

    Args:
        method: The request's method; the answer to HEAD carries no body.
        read: Gives the next chunk of the request's body, None at its end.

    Attributes:
        debug: What the application shows of its answer: `template` and `context`.
    """

    method: str
    read: Callable[[], Awaitable[bytes | None]]
    answer: Answer | None = None
    debug: JSONObject = field(default_factory=dict)
    misuse: list[str] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    _body_taken: bool = False
    _transport: StreamTransport | None = None
    _expected_length: int | None = None
    _disconnected: bool = False
    _watchers: deque["asyncio.Future[None]"] = field(default_factory=deque)

    def __call__(self) -> Awaitable[bytes]:
        """Read the whole body.

        Raises:
            granian.rsgi.ProtocolError: The body was read already.
        """
        self._take_body()
        return self._read_all()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the body in chunks; the last chunk is empty.

        Raises:
            granian.rsgi.ProtocolError: The body was read already.
        """
        self._take_body()
        return self._iterate_body()

    def show_debug(self, info: JSONObject) -> None:
        """Take what a test may want to see; no server has this method."""
        self.debug = info

    def client_disconnect(self) -> Awaitable[None]:
        """Wait until the client went away.

        The application has to cancel it when it has answered.
        """
        future = asyncio.get_running_loop().create_future()
        if self._disconnected:
            future.set_result(None)
        else:
            self._watchers.append(future)
        return future

    def response_empty(self, status: int = 200, headers: HeaderList = ()) -> None:
        """Answer without a body."""
        self._respond(_require_status(status), _require_headers(headers), b"")

    def response_str(self, status: int = 200, headers: HeaderList = (), body: str = "") -> None:
        """Answer with text, sent as UTF-8."""
        self._respond(_require_status(status), _require_headers(headers), _require_text(body).encode())

    def response_bytes(self, status: int = 200, headers: HeaderList = (), body: bytes = b"") -> None:
        """Answer with bytes."""
        self._respond(_require_status(status), _require_headers(headers), _require_bytes(body))

    def response_file(self, status: int, headers: HeaderList, file: str) -> None:
        """Answer with a file."""
        self._respond(_require_status(status), _require_headers(headers), FileSlice(_require_text(file)))

    def response_file_range(self, status: int, headers: HeaderList, file: str, start: int, end: int) -> None:
        """Answer with the bytes `start` up to, and without, `end` of a file.

        Raises:
            ValueError: The range is empty or turned around.
        """
        checked, pairs, path = _require_status(status), _require_headers(headers), _require_text(file)
        first, last = _require_unsigned(start), _require_unsigned(end)
        if first >= last:
            raise ValueError("Invalid range")
        self._respond(checked, pairs, FileSlice(path, first, last))

    def response_stream(self, status: int = 200, headers: HeaderList = ()) -> StreamTransport:
        """Start an answer whose body is sent through the transport returned.

        Raises:
            granian.rsgi.ProtocolError: There is an answer already.
        """
        checked, pairs = _require_status(status), _require_headers(headers)
        if self.answer is not None:
            raise ProtocolError("RSGI protocol error")
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._transport = StreamTransport(queue)
        self._respond(checked, pairs, queue)
        return self._transport

    def disconnect(self) -> None:
        """Let the client go away.

        What waits for that wakes up; what is sent from now on is lost.
        """
        self._disconnected = True
        if self._transport is not None:
            self._transport.closed = True
        while self._watchers:
            watcher = self._watchers.popleft()
            if not watcher.done():
                watcher.set_result(None)

    def finish(self) -> None:
        """End the body: the application has returned."""
        if self._transport is not None:
            self._transport.closed = True
            self._transport._queue.put_nowait(None)
        self.answered.set()

    @property
    def watched(self) -> bool:
        """Whether the application still waits for the client to go away."""
        return any(not watcher.done() for watcher in self._watchers)

    def check_length(self, sent: int) -> None:
        """Record a streamed or file body whose length is not the `content-length` that was announced."""
        if self._expected_length is not None and sent != self._expected_length:
            self.misuse.append(f"content-length was {self._expected_length}, the body has {sent} bytes")

    def _take_body(self) -> None:
        if self._body_taken:
            raise ProtocolError("RSGI protocol error")
        self._body_taken = True

    async def _read_all(self) -> bytes:
        return b"".join([chunk async for chunk in self._iterate_body()])

    async def _iterate_body(self) -> AsyncIterator[bytes]:
        while (chunk := await self.read()) is not None:
            if chunk:
                yield chunk
        yield b""

    def _respond(self, status: int, headers: list[tuple[bytes, bytes]], body: Body) -> None:
        if self.answer is not None:
            self.misuse.append(
                f"a second response, of status {status}, was sent after one of status {self.answer.status}"
            )
            return
        if not 100 <= status <= 999:
            # Granian unwraps the `http` crate's refusal: the worker process ends
            self.misuse.append(f"status {status} ends Granian's worker process")
            raise RSGIMisuseError(self.misuse[-1])
        valid = [(name, value) for name, value in headers if self._check_header(name, value)]
        self.answer = self._build_head(status, valid, body)
        self.answered.set()

    def _check_header(self, name: bytes, value: bytes) -> bool:
        if _TOKEN.fullmatch(name) and _VALUE.fullmatch(value):
            return True
        self.misuse.append(f"the response header {name!r}: {value!r} is invalid, Granian drops it")
        return False

    def _build_head(self, status: int, headers: list[tuple[bytes, bytes]], body: Body) -> Answer:
        """Do to the head of the response what hyper does."""
        if not 200 <= status <= 599:
            self.misuse.append(f"status {status} is not one of 200 to 599")
        if status < 200 and status != 101:
            return _build_error(self.method)
        if status in (204, 304) or status == 101:
            return Answer(status, headers, b"")
        given = [value for name, value in headers if name == b"content-length"]
        chunked = any(name == b"transfer-encoding" for name, _ in headers)
        if isinstance(body, FileSlice) and not Path(body.path).exists():
            return Answer(404, [(b"content-length", b"9")], b"" if self.method == "HEAD" else b"Not found")
        if not isinstance(body, bytes):
            self._expected_length = int(given[0]) if given and self.method != "HEAD" else None
            return Answer(status, headers, b"" if self.method == "HEAD" else body)
        if self.method == "HEAD":
            return Answer(status, headers + _build_length(body if body and not given and not chunked else b""), b"")
        if not body:
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        elif given and int(given[0]) != len(body):
            self.misuse.append(f"content-length was {int(given[0])}, the body has {len(body)} bytes")
        if chunked or (body and given):
            return Answer(status, headers, body)
        return Answer(status, [*headers, (b"content-length", b"%d" % len(body))], body)


def _build_length(body: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", b"%d" % len(body))] if body else []


def _require_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"'{type(value).__name__}' object is not an instance of 'str'")
    return value


def _require_bytes(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"Can't extract `{type(value).__name__}` to `Vec`")
    return bytes(value)


def _require_unsigned(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")
    if value < 0:
        raise OverflowError("can't convert negative int to unsigned")
    return value


def _require_status(value: object) -> int:
    status = _require_unsigned(value)
    if status > 65535:
        raise OverflowError("number too large to fit in target type")
    return status


def _require_headers(value: object) -> list[tuple[bytes, bytes]]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"'{type(value).__name__}' object is not an instance of 'Sequence'")
    pairs = []
    for pair in value:
        if not isinstance(pair, tuple):
            raise TypeError(f"'{type(pair).__name__}' object is not an instance of 'tuple'")
        if len(pair) != 2:
            raise ValueError(f"expected tuple of length 2, but got tuple of length {len(pair)}")
        pairs.append((_require_text(pair[0]).lower().encode(), _require_text(pair[1]).encode()))
    return pairs


def _build_error(method: str) -> Answer:
    """Return what Granian sends when there is no answer, or an impossible one."""
    return Answer(500, [] if method == "HEAD" else [(b"content-length", b"0")], b"")
