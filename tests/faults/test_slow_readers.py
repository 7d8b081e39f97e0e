"""A generator waits for a client that reads slowly, or not at all, on every server."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.servers import EVERY_SERVER, ServerName, serve
from velithon import Velithon
from velithon.middleware import Middleware
from velithon.responses import StreamingResponse

pytestmark = pytest.mark.server

SIZE = 48 * 1024 * 1024
BLOCK = bytes(64 * 1024)
# What kernels keep for a connection on loopback, on both ends, and what we hand over ahead.
MOST = 16 * 1024 * 1024

made = 0


class Through:
    """An ASGI layer of somebody else."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def blocks() -> Iterator[bytes]:
    """Yield 48 MiB, and count them."""
    global made
    made = 0
    for _ in range(SIZE // len(BLOCK)):
        made += len(BLOCK)
        yield BLOCK


def make(*layers: Any) -> Velithon:
    """Return an application with streams behind layers."""
    built = Velithon(middleware=[Middleware(layer) for layer in layers])

    @built.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for block in blocks():
                yield block

        return StreamingResponse(chunks())

    @built.get("/threads")
    async def threads() -> StreamingResponse:
        return StreamingResponse(blocks())

    return built


app = make()
app.mount("/layer", make(Through))


@app.get("/made")
async def count() -> int:
    return made


def until_it_rests(url: str) -> int:
    """Return how many bytes were made, once half a second brings no more."""
    before = -1
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        now = int(httpx.get(f"{url}/made", trust_env=False).json())
        if now == before:
            return now
        before = now
        time.sleep(0.5)
    raise AssertionError(f"{before} bytes were made, and it goes on")


@pytest.mark.parametrize("server", EVERY_SERVER)
def test_a_client_that_does_not_read_stops_the_generator(server: ServerName) -> None:
    """What it has not read is not made; once it reads, it gets everything."""
    with serve(f"{__name__}:app", server) as running:
        for path in ("/stream", "/threads", "/layer/stream"):
            with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
                client.sendall(f"GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".encode())
                assert 0 < until_it_rests(running.url) < MOST, path
                received = 0
                last = b""
                while data := client.recv(1024 * 1024):
                    received += len(data)
                    last = data
                assert received > SIZE, path
                assert last.endswith(b"0\r\n\r\n"), path
        assert "Traceback" not in running.log
