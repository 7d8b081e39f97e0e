"""A body that was cut short, or whose chunks are malformed, is never taken for a complete one."""

import itertools
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from tests.servers import EVERY_SERVER, Server, ServerName, serve

APP = """
from typing import Annotated
from velithon import Velithon
from velithon.params import Body, Form
from velithon.requests import Request
from velithon_adapters.rsgi import ProtocolClosed

app = Velithon()
SEEN = []

class ASGILayer:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/asgi":
            body = b""
            while (message := await receive())["type"] == "http.request":
                body += message["body"]
                if not message["more_body"]:
                    SEEN.append(body.decode())
                    break
        await self.app(scope, receive, send)

class RSGILayer:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, protocol):
        if scope.proto == "http" and scope.path == "/rsgi":
            try:
                SEEN.append(b"".join([chunk async for chunk in protocol]).decode())
            except ProtocolClosed:
                pass
            protocol.response_empty(204, [])
            return
        await self.app(scope, protocol)

app.add_middleware(ASGILayer)
app.add_middleware(RSGILayer)

@app.get("/seen")
async def seen():
    return SEEN

@app.post("/asgi")
async def asgi():
    pass

@app.post("/stream")
async def stream(request: Request):
    SEEN.append("".join([chunk.decode() async for chunk in request.stream()]))

@app.post("/body")
async def body(request: Request):
    SEEN.append((await request.body()).decode())

@app.post("/limited", max_body_size=1000)
async def limited(request: Request):
    SEEN.append((await request.body()).decode())

@app.post("/form")
async def form(a: Annotated[str, Form()]):
    SEEN.append(a)

@app.post("/json")
async def json(a: Annotated[int, Body()]):
    SEEN.append(str(a))
"""

WAYS = ("asgi", "rsgi", "stream", "body", "limited", "form", "json")
# A chunk, and then the end of the connection; no more; or something that is no chunk.
BROKEN = (b"3\r\na=1\r\n", b"5\r\na=1", b"3\r\na=1\r\nZZ\r\n", b"3\r\na=1\r\n0\r\n", b"x\r\n")


@pytest.fixture(scope="module", params=EVERY_SERVER)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(APP, request.param) as running:
        yield running


def send_chunked(port: int, way: str, body: bytes, ending: str) -> bytes:
    """Send a request with a chunked body, leave or say no more, and return what comes back."""
    kind = "application/json" if way == "json" else "application/x-www-form-urlencoded"
    head = f"POST /{way} HTTP/1.1\r\nhost: h\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        if ending == "leaves":
            return b""
        if ending == "stays":
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(65536)


def seen(server: Server) -> list[str]:
    """Return the bodies that were seen as complete."""
    found: list[str] = httpx.get(f"{server.url}/seen").json()
    return found


@pytest.mark.parametrize("way", WAYS)
def test_nobody_sees_a_part_as_the_whole(server: Server, way: str) -> None:
    before = len(seen(server))
    for body in BROKEN:
        for ending in ("leaves", "stays") * 3:
            answer = send_chunked(server.port, way, body, ending)
            # Uvicorn says nothing to a client that will send no more; the layers of the test go on without the body.
            layer = way in ("asgi", "rsgi")
            assert not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 20" if layer else b"HTTP/1.1 400"))
    whole = b"1\r\n7\r\n0\r\n\r\n" if way == "json" else b"3\r\na=7\r\n0\r\n\r\n"
    assert send_chunked(server.port, way, whole, "listens").startswith(b"HTTP/1.1 20")
    assert seen(server)[before:] == ["a=7" if way not in ("json", "form") else "7"]
    assert "Traceback" not in server.log


def test_a_body_with_trailers_is_complete_or_refused(server: Server) -> None:
    """Over RSGI trailers look as a broken body does, and what cannot be told apart is refused."""
    answer = send_chunked(server.port, "stream", b"3\r\na=8\r\n0\r\nX-T: 1\r\n\r\n", "listens")
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
    assert answer.startswith(b"HTTP/1.1 400") is ("a=8" not in seen(server))


class Client:
    """A client of HTTP/2 that can stop anywhere."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.connection = H2Connection(H2Configuration(client_side=True))
        self.connection.initiate_connection()
        self.flush()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        """Write what there is to be written."""
        self.socket.sendall(self.connection.data_to_send())

    def post(self, path: str, *data: bytes, length: int | None = None, end: bool = True) -> int:
        """Send a request with these frames of data; return its stream."""
        stream = self.connection.get_next_available_stream_id()
        headers = [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "h")]
        if length is not None:
            headers.append(("content-length", str(length)))
        self.connection.send_headers(stream, headers)
        for number, frame in enumerate(data, 1):
            self.connection.send_data(stream, frame, end_stream=end and number == len(data))
        self.flush()
        return stream


@pytest.mark.parametrize("mode", ["granian-rsgi", "granian-asgi"])
def test_a_stream_of_http2_that_is_reset_is_not_complete(mode: ServerName) -> None:
    """Also that a reset stream does not keep the loop busy for ever, as Granian's endless empty chunks would."""
    with serve(APP, mode) as running:
        for way in ("stream", "body", "limited", "rsgi", "asgi"):
            for length, code in itertools.product((None, 10), (2, 8, None)):
                with Client(running.port) as client:
                    stream = client.post(f"/{way}", b"a=1", length=length, end=False)
                    time.sleep(0.02)  # the request has to have arrived before it is taken back
                    if code is not None:
                        client.connection.reset_stream(stream, code)
                        client.flush()
        assert seen(running) == []
        with Client(running.port) as client:
            client.post("/stream", b"a=7")
            client.post("/stream", b"a", b"=7", b"")
            deadline = time.monotonic() + 10
            while seen(running) != ["a=7", "a=7"]:
                assert time.monotonic() < deadline, seen(running)
                time.sleep(0.02)
        assert "Traceback" not in running.log
