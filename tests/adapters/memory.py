"""RSGI objects in memory that write down what an application does with them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from velithon_adapters.rsgi import ProtocolClosed, ProtocolError, WebsocketMessageType
from velithon_adapters.websocket import RSGIMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from velithon_adapters.rsgi import ResponseHeaders

CLOSE = RSGIMessage(int(WebsocketMessageType.close), None)


class Headers:
    """A request's headers."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs

    def __contains__(self, key: str) -> bool:
        return any(name == key.lower() for name, _ in self.pairs)

    def __iter__(self) -> Any:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __getitem__(self, key: str) -> str:
        return self.get_all(key)[0]

    def keys(self) -> list[str]:
        return list(dict(self.pairs))

    def values(self) -> list[str]:
        return [value for _, value in self.pairs]

    def items(self) -> list[tuple[str, str]]:
        return list(self.pairs)

    def get(self, key: str, default: Any = None) -> Any:
        return next((value for name, value in self.pairs if name == key.lower()), default)

    def get_all(self, key: str) -> list[str]:
        return [value for name, value in self.pairs if name == key.lower()]


@dataclass
class Scope:
    """A request's scope, a GET of `/` unless told otherwise."""

    proto: str = "http"
    http_version: str = "1.1"
    rsgi_version: str = "1.6"
    server: str = "127.0.0.1:8000"
    client: str = "127.0.0.1:50000"
    scheme: str = "http"
    method: str = "GET"
    path: str = "/"
    query_string: str = ""
    authority: str | None = None
    headers: Headers = field(default_factory=lambda: Headers([]))


class Stream:
    """A stream transport; `broken` stands for a client that is gone."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol

    async def send_bytes(self, data: bytes) -> None:
        assert type(data) is bytes
        if self.protocol.broken:
            raise ProtocolClosed("RSGI transport is closed")
        self.protocol.calls.append(("chunk", data))

    async def send_str(self, data: str) -> None:
        raise AssertionError("the bridge sends bytes")


class Protocol:
    """An HTTP protocol: `calls` is what was responded, a second response fails the test."""

    def __init__(self, *body: bytes | BaseException) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.body: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
        for chunk in body:
            self.body.put_nowait(chunk)
        self.gone: list[asyncio.Future[None]] = []
        self.broken = False
        self.asked = 0

    def end(self) -> Protocol:
        self.body.put_nowait(None)
        return self

    def leave(self) -> None:
        """Let the client close the connection."""
        for future in self.gone:
            if not future.done():
                future.set_result(None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        self.asked += 1
        if self.asked > 1:
            raise ProtocolError("RSGI protocol error")
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while (chunk := await self.body.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk
        yield b""

    async def __call__(self) -> bytes:
        return b"".join([chunk async for chunk in self])

    def client_disconnect(self) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self.gone.append(future)
        return future

    def _respond(self, *call: Any) -> None:
        if self.calls:
            raise AssertionError(f"a second response: {call}, after {self.calls}")
        status, headers = call[1], call[2]
        assert 200 <= status <= 599
        assert all(type(name) is str and type(value) is str for name, value in headers)
        self.calls.append(call)

    def response_empty(self, status: int, headers: ResponseHeaders) -> None:
        self._respond("empty", status, headers)

    def response_str(self, status: int, headers: ResponseHeaders, body: str) -> None:
        self._respond("str", status, headers, body)

    def response_bytes(self, status: int, headers: ResponseHeaders, body: bytes) -> None:
        assert type(body) is bytes
        self._respond("bytes", status, headers, body)

    def response_file(self, status: int, headers: ResponseHeaders, file: str) -> None:
        self._respond("file", status, headers, file)

    def response_file_range(self, status: int, headers: ResponseHeaders, file: str, start: int, end: int) -> None:
        self._respond("range", status, headers, file, start, end)

    def response_stream(self, status: int, headers: ResponseHeaders) -> Stream:
        if self.calls:
            raise ProtocolError("RSGI protocol error")
        self._respond("stream", status, headers)
        return Stream(self)


class Websocket:
    """A WebSocket protocol and its transport: `sent` is what the client got, `closed` the status of the close."""

    def __init__(self, *messages: bytes | str | BaseException | None) -> None:
        self.messages: asyncio.Queue[bytes | str | BaseException | None] = asyncio.Queue()
        for message in messages:
            self.messages.put_nowait(message)
        self.accepted = False
        self.sent: list[bytes | str] = []
        self.closes: list[int | None] = []
        self.failure: BaseException | None = None
        self.receiving = 0

    async def accept(self) -> Websocket:
        assert not self.accepted
        if self.failure is not None:
            raise self.failure
        self.accepted = True
        return self

    def close(self, status: int | None = None) -> None:
        assert status is None or 200 <= status <= 599
        self.closes.append(status)

    async def receive(self) -> RSGIMessage:
        assert self.receiving == 0, "two receives at once"
        self.receiving += 1
        try:
            message = await self.messages.get()
        finally:
            self.receiving -= 1
        if message is None:
            return CLOSE
        if isinstance(message, BaseException):
            raise message
        kind = WebsocketMessageType.bytes if isinstance(message, bytes) else WebsocketMessageType.string
        return RSGIMessage(int(kind), message)

    async def send_bytes(self, data: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(data)

    async def send_str(self, data: str) -> None:
        await self.send_bytes(data)  # type: ignore[arg-type] # one list for both


async def turn(times: int = 10) -> None:
    """Let the loop turn."""
    for _ in range(times):
        await asyncio.sleep(0)
