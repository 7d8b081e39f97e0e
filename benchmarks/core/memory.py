"""Requests in memory: what Granian and an ASGI server would hand over, with nothing behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote


class Headers:
    """Granian's header mapping: names in lower case."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: dict[str, str]) -> None:
        self._pairs = pairs

    def __contains__(self, name: str) -> bool:
        return name in self._pairs

    def get(self, name: str, default: str | None = None) -> str | None:
        return self._pairs.get(name, default)

    def get_all(self, name: str) -> list[str]:
        return [self._pairs[name]] if name in self._pairs else []

    def keys(self) -> list[str]:
        return list(self._pairs)

    def values(self) -> list[str]:
        return list(self._pairs.values())

    def items(self) -> list[tuple[str, str]]:
        return list(self._pairs.items())

    def __iter__(self) -> Any:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


class Scope:
    """An RSGI HTTP scope."""

    __slots__ = (
        "authority",
        "client",
        "headers",
        "http_version",
        "method",
        "path",
        "proto",
        "query_string",
        "rsgi_version",
        "scheme",
        "server",
    )

    def __init__(self, method: str, target: str, headers: dict[str, str]) -> None:
        path, _, query = target.partition("?")
        self.proto = "http"
        self.http_version = "1.1"
        self.rsgi_version = "1.6"
        self.server = "127.0.0.1:8000"
        self.client = "127.0.0.1:50000"
        self.scheme = "http"
        self.method = method
        self.path = unquote(path)
        self.query_string = query
        self.headers = Headers({"host": "127.0.0.1:8000", **headers})
        self.authority: str | None = None


class Protocol:
    """An RSGI HTTP protocol that keeps the last response: status, headers, body."""

    __slots__ = ("body", "sent")

    def __init__(self, body: bytes = b"") -> None:
        self.body = body
        self.sent: tuple[int, list[tuple[str, str]], bytes] = (0, [], b"")

    async def __call__(self) -> bytes:
        return self.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.sent = (status, headers, body)

    def response_str(self, status: int, headers: list[tuple[str, str]], body: str) -> None:
        self.sent = (status, headers, body.encode())

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.sent = (status, headers, b"")

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Transport:
        self.sent = (status, headers, b"")
        return Transport(self)

    async def client_disconnect(self) -> None:
        # The client stays; who waits for this is cancelled.
        await asyncio.get_running_loop().create_future()


class Transport:
    """What the chunks of a stream go to."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    async def send_bytes(self, data: bytes) -> None:
        status, headers, body = self._protocol.sent
        self._protocol.sent = (status, headers, body + data)

    async def send_str(self, data: str) -> None:
        await self.send_bytes(data.encode())


class ASGIExchange:
    """An ASGI request that can be sent again and again, and keeps the last response's status and body."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        path, _, query = target.partition("?")
        pairs = [(name.encode(), value.encode()) for name, value in {"host": "127.0.0.1:8000", **headers}.items()]
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": method,
            "root_path": "",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": pairs,
        }
        self.message = {"type": "http.request", "body": body, "more_body": False}
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def receive(self) -> dict[str, Any]:
        return self.message

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = message["headers"]
            self.body = b""
        else:
            self.body += message.get("body", b"")
