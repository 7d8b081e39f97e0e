"""Streams that raise: the client is not left waiting, and nothing is sent that nobody asked for."""

import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from velithon import Velithon
from velithon.responses import StreamingResponse

APP = """
import gc
from velithon import Velithon
from velithon.responses import StreamingResponse

gc.disable()
app = Velithon()

@app.get("/stream")
async def stream():
    async def chunks():
        yield b"first"
        raise ValueError("later")
    return StreamingResponse(chunks())

@app.get("/lines")
async def lines():
    yield {"a": 1}
    raise ValueError("later")
"""


def raw(port: int, path: str) -> bytes:
    """Return everything that a server sends on a connection that it is asked to close."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".encode())
        while data := connection.recv(65536):
            received += data
    return received


@pytest.mark.parametrize("server", SERVERS)
def test_the_connection_ends_without_waiting_for_the_garbage_collector(server: ServerName) -> None:
    """Over ASGI it breaks off; Granian ends the body over RSGI as if it were complete, as docs/protocols.md says."""
    with serve(APP, server) as running:
        received = raw(running.port, "/stream")
        assert b"first" in received
        assert received.endswith(b"0\r\n\r\n") is (server == "granian-rsgi")
        assert b'{"a": 1}' in raw(running.port, "/lines") or b'{"a":1}' in raw(running.port, "/lines")


def test_numbers_are_no_chunks(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/async")
    async def asynchronous() -> StreamingResponse:
        async def chunks() -> AsyncIterator[object]:
            yield b"x"
            yield 5

        return StreamingResponse(chunks())

    @app.get("/sync")
    async def synchronous() -> StreamingResponse:
        def chunks() -> Iterator[object]:
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
        async def chunks() -> AsyncIterator[object]:
            yield memoryview(b"ab")
            yield "é"

        return StreamingResponse(chunks())

    with client(app) as c:
        assert c.get("/").content == "abé".encode()
