"""Streams that wait, with nothing to send, when their client leaves: servers tell nobody who does not ask."""

import socket
import time

import httpx
import pytest

from tests.servers import EVERY_SERVER, ServerName, serve

pytestmark = pytest.mark.server

APP = """
import asyncio
import time
from typing import Any
from velithon import Velithon
from velithon.middleware import Middleware
from velithon.responses import StreamingResponse

ENDED: dict[str, float] = {}

async def waits(name: str) -> Any:
    try:
        yield b"first"
        await asyncio.Event().wait()
    finally:
        ENDED[name] = time.time()

class Through:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

def make(name: str, *layers: Any) -> Velithon:
    made = Velithon(middleware=[Middleware(layer) for layer in layers])

    @made.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(waits(f"{name}/stream"))

    @made.get("/lines")
    async def lines() -> Any:
        async for chunk in waits(f"{name}/lines"):
            yield chunk.decode()

    return made

app = make("")
app.mount("/asgi", make("/asgi", Through))

async def through(request: Any, call_next: Any) -> Any:
    return await call_next(request)

app.mount("/dispatch", dispatched := make("/dispatch", Through))
dispatched.middleware("http")(through)

@app.get("/ended")
async def ended() -> dict[str, float]:
    return ENDED
"""


@pytest.mark.parametrize("server", EVERY_SERVER)
def test_an_idle_stream_ends_within_a_second_of_its_clients_leaving(server: ServerName) -> None:
    """The generator is closed, on every server and behind layers of each kind; seconds are measured in the server."""
    left: dict[str, float] = {}
    with serve(APP, server) as running, httpx.Client(base_url=running.url) as c:
        for path in (f"{prefix}/{kind}" for prefix in ("", "/asgi", "/dispatch") for kind in ("stream", "lines")):
            with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
                received = b""
                while b"first" not in received:
                    received += connection.recv(4096)
                # Nobody is told of an end that comes before it: the stream has to be idle first.
                time.sleep(0.1)
                assert path not in c.get("/ended").json()
                left[path] = time.time()
        deadline = time.monotonic() + 10
        while (ended := c.get("/ended").json()).keys() != left.keys() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert {path: ended[path] - left[path] < 1 if path in ended else None for path in left} == dict.fromkeys(left, True)
