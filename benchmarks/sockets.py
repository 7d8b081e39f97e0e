"""The load of WebSockets and events, a process: `python -m benchmarks.sockets KIND PORT PATH CLIENTS SECONDS`.

Clients speak just enough of RFC 6455 for short text frames, so that one core keeps up with the server on the other.
Those of events look for the text in the stream, and one more connection asks for each event with `GET /publish`. The
result is a line of JSON: how many messages were received, in how many seconds, and how long they took.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from typing import Any, TypeVar

T = TypeVar("T", bound="Client")
_TEXT = b"a text message of 32 characters."
_MASK = b"\x00\x00\x00\x00"  # masking with zeros leaves the text as it is
_FRAME = bytes([0x81, 0x80 | len(_TEXT)]) + _MASK + _TEXT
_GET = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n"
_PONG = bytes([0x8A, 0x80]) + _MASK


class Client(asyncio.Protocol):
    """One WebSocket connection.

    Args:
        request: The handshake.
        received: Called with the client at each text message.
    """

    def __init__(self, request: bytes, received: Any) -> None:
        self.request = request
        self.received = received
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.sent = 0.0
        self.wrong: str | None = None
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        transport.write(self.request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note a connection that ended early."""
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the handshake was refused"))
        self.wrong = self.wrong or "the server closed the connection"

    def send(self) -> None:
        """Send the text."""
        self.sent = time.perf_counter()
        self.transport.write(_FRAME)

    def data_received(self, data: bytes) -> None:
        """Take the handshake's answer, then frames."""
        self.buffer += data
        if not self.opened.done():
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.opened.set_exception(ConnectionError(head.split(b"\r\n")[0].decode()))
                return
            self.buffer = rest
            self.opened.set_result(None)
        while len(self.buffer) >= 2 and len(self.buffer) >= 2 + (self.buffer[1] & 0x7F):
            size = self.buffer[1] & 0x7F
            kind, payload, self.buffer = self.buffer[0], self.buffer[2 : 2 + size], self.buffer[2 + size :]
            if kind == 0x89:
                self.transport.write(_PONG)
            elif kind in (0x81, 0x82) and payload == _TEXT:
                self.received(self)
            else:
                self.wrong = f"the server sent {bytes([kind])!r} {payload!r}"


class Reader(Client):
    """One stream of server-sent events."""

    def data_received(self, data: bytes) -> None:
        """Take the first event, after which the client is known to be subscribed, then the others."""
        self.buffer += data
        if not self.opened.done():
            if b"ready" in self.buffer:
                self.buffer = b""
                self.opened.set_result(None)
            elif not b"HTTP/1.1 200".startswith(self.buffer[:12]):
                self.opened.set_exception(ConnectionError(self.buffer.split(b"\r\n")[0].decode()))
            return
        *events, self.buffer = self.buffer.split(_TEXT)
        for _ in events:
            self.received(self)


class Publisher(Client):
    """Asks for the next event."""

    def connection_made(self, transport: Any) -> None:
        """Be ready."""
        self.transport = transport
        self.opened.set_result(None)

    def send(self) -> None:
        """Ask for an event."""
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """See that nothing is wrong."""
        if data.startswith(b"HTTP/1.1 ") and b" 200 " not in data.split(b"\r\n")[0]:
            self.wrong = data.split(b"\r\n")[0].decode()


async def connect_readers(port: int, path: str, clients: int, received: Any) -> tuple[Publisher, list[Client]]:
    """Open streams of events, and the connection that asks for them.

    Raises:
        ConnectionError: A stream was refused.
    """
    request = _GET.format(path=path, port=port)
    opened: list[Client] = [await _open(Reader, port, request, received) for _ in range(clients)]
    return await _open(Publisher, port, _GET.format(path="/publish", port=port), received), opened


async def _open(kind: type[T], port: int, request: str, received: Any) -> T:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: kind(request.encode(), received), "127.0.0.1", port)
    await asyncio.wait_for(client.opened, 10)
    return client


async def connect(port: int, path: str, clients: int, received: Any) -> list[Client]:
    """Open WebSockets.

    Raises:
        ConnectionError: A handshake was refused.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return [await _open(Client, port, request, received) for _ in range(clients)]


async def run(kind: str, port: int, path: str, clients: int, seconds: float) -> dict[str, Any]:
    """Make load for a while.

    Args:
        kind: `echo`: each client sends when its last message came back. `broadcast`: one sends when all have the last.
            `events`: the same, with an event that is asked for.
        port: The server's, on 127.0.0.1.
        path: The server's endpoint.
        clients: How many connections.
        seconds: How long.

    Raises:
        ConnectionError: A handshake was refused, or an answer was wrong.
    """
    latencies: list[float] = []
    running = True
    missing = 0
    everybody: list[Client] = []
    first: Client

    def echoed(client: Client) -> None:
        latencies.append(time.perf_counter() - client.sent)
        if running:
            client.send()

    def broadcast(client: Client) -> None:
        nonlocal missing
        latencies.append(time.perf_counter() - first.sent)
        missing -= 1
        if missing == 0 and running:
            missing = clients
            first.send()

    if kind == "events":
        first, everybody = await connect_readers(port, path, clients, broadcast)
    else:
        everybody = await connect(port, path, clients, echoed if kind == "echo" else broadcast)
        first = everybody[0]
    start = time.perf_counter()
    if kind == "echo":
        for client in everybody:
            client.send()
    else:
        missing = clients
        first.send()
    await asyncio.sleep(seconds)
    running = False
    took = time.perf_counter() - start
    wrong = next((client.wrong for client in (first, *everybody) if client.wrong), None)
    for client in (first, *everybody):
        client.transport.abort()
    await asyncio.sleep(0)
    if wrong or not latencies:
        raise ConnectionError(wrong or "no message came back")
    latencies.sort()
    return {
        "count": len(latencies),
        "seconds": took,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
    }


def main() -> int:
    """Run for the command line."""
    kind, port, path, clients, seconds = sys.argv[1:]
    try:
        import uvloop
    except ImportError:
        runner = asyncio.run
    else:
        runner = uvloop.run
    try:
        print(json.dumps(runner(run(kind, int(port), path, int(clients), float(seconds)))))
    except (OSError, TimeoutError) as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
