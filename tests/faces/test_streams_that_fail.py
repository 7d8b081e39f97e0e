"""Streams that raise: the client is not left waiting, and nothing is sent that nobody asked for."""

import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.conftest import ClientFactory
from tests.servers import EVERY_SERVER, ServerName, serve
from velithon import Velithon
from velithon.responses import StreamingResponse

APP = """
import gc
from velithon import Velithon
from velithon.middleware import Middleware
from velithon.responses import StreamingResponse

gc.disable()

class Through:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)

def make(*layers):
    made = Velithon(middleware=[Middleware(layer) for layer in layers])

    @made.get("/stream")
    async def stream():
        async def chunks():
            yield b"first"
            raise ValueError("later")
        return StreamingResponse(chunks())

    @made.get("/lines")
    async def lines():
        yield {"a": 1}
        raise ValueError("later")

    @made.get("/large")
    async def large():
        async def chunks():
            for _ in range(40):
                yield b"x" * 65536
            raise ValueError("later")
        return StreamingResponse(chunks())

    return made

async def through(request, call_next):
    return await call_next(request)

app = make()
app.mount("/layer", make(Through))
app.mount("/dispatch", dispatched := make(Through))
dispatched.middleware("http")(through)
"""


def raw(port: int, path: str) -> bytes:
    """Return everything that a server sends on a connection that it is asked to close."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 192.0.2.7\r\nconnection: close\r\n\r\n".encode()
        )
        while data := connection.recv(65536):
            received += data
    return received


@pytest.mark.parametrize("options", [(), ("--forwarded-allow-ips", "127.0.0.1")], ids=["", "behind a proxy"])
@pytest.mark.parametrize("server", EVERY_SERVER)
def test_the_connection_breaks_off(server: ServerName, options: tuple[str, ...]) -> None:
    """The client sees that the body is not complete, and has what was sent before."""
    with serve(APP, server, *options) as running:
        for prefix in ("", "/layer", "/dispatch"):
            for path, sent in (("/stream", b"first"), ("/lines", b'{"a":1}'), ("/large", b"x")):
                received = raw(running.port, prefix + path)
                assert received.startswith(b"HTTP/1.1 200"), received
                assert sent in received.replace(b" ", b""), prefix + path
                assert not received.endswith(b"0\r\n\r\n"), prefix + path
                assert path != "/large" or received.count(b"x") == 40 * 65536


def test_numbers_are_no_chunks(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/async")
    async def asynchronous() -> StreamingResponse:
        async def chunks() -> AsyncIterator[Any]:
            yield b"x"
            yield 5

        return StreamingResponse(chunks())

    @app.get("/sync")
    async def synchronous() -> StreamingResponse:
        def chunks() -> Iterator[Any]:
            yield from b"abc"

        return StreamingResponse(chunks())

    with client(app, raise_server_exceptions=False) as c:
        for path in ("/async", "/sync"):
            assert b"\0" not in c.get(path).content
    with client(app) as c, pytest.raises(AttributeError):
        c.get("/async")


def test_views_are_chunks(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/")
    async def views() -> StreamingResponse:
        async def chunks() -> AsyncIterator[Any]:
            yield memoryview(b"ab")
            yield "é"

        return StreamingResponse(chunks())

    with client(app) as c:
        assert c.get("/").content == "abé".encode()
