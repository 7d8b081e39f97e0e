"""The application on real Granian (RSGI and ASGI) and Uvicorn processes, over sockets."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.servers import EVERY_SERVER, Server, ServerName, serve

pytestmark = pytest.mark.server

MIB = 1024 * 1024

SOURCE = """
import asyncio
import os
import resource
from contextlib import asynccontextmanager
from pathlib import Path

from velithon import HTTPException, Request, Velithon, WebSocket, WebSocketDisconnect
from velithon.background import BackgroundTask
from velithon.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse

events = []
more = asyncio.Semaphore(0)


@asynccontextmanager
async def lifespan(app):
    events.append("startup")
    yield {"answer": 42}
    Path(os.environ["LIFESPAN_LOG"]).write_text("shutdown")


app = Velithon(lifespan=lifespan)


@app.middleware("http")
async def stamp(request, call_next):
    response = await call_next(request)
    response.headers["x-stamp"] = "1"
    return response


@app.get("/json")
async def json_():
    return JSONResponse({"message": "Hello, World!"})


@app.get("/items/{item_id}")
async def item(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}


@app.get("/sync")
def sync():
    return {"sync": True}


@app.get("/state")
async def state(request: Request):
    return {"answer": request.state.answer, "startups": events.count("startup"), "client": request.client.host}


@app.get("/big")
async def big():
    async def chunks():
        # RSGI has no backpressure: the reader asks for each mebibyte.
        for _ in range(50):
            for _ in range(16):
                yield b"x" * 65536
            await more.acquire()

    return StreamingResponse(chunks(), media_type="application/octet-stream")


@app.get("/more")
async def ask_for_more():
    more.release()


@app.get("/rss")
async def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@app.post("/upload")
async def upload(request: Request):
    size = largest = 0
    async for chunk in request.stream():
        size += len(chunk)
        largest = max(largest, len(chunk))
    return {"size": size, "largest": largest}


@app.get("/file")
async def file():
    return FileResponse(os.environ["SERVED_FILE"], filename="file.bin")


@app.get("/redirect")
async def redirect():
    return RedirectResponse("/json")


@app.get("/teapot")
async def teapot():
    raise HTTPException(418, "short and stout")


@app.get("/bug")
async def bug():
    raise ZeroDivisionError("a bug")


@app.get("/background")
async def background():
    return JSONResponse({}, background=BackgroundTask(events.append, "background"))


@app.get("/events")
async def read_events():
    return events


@app.get("/endless")
async def endless():
    async def chunks():
        events.append("streaming")
        try:
            while True:
                yield b"tick\\n"
                await asyncio.sleep(0.01)
        finally:
            events.append("stream closed")

    return StreamingResponse(chunks(), media_type="text/plain")


@app.get("/silent")
async def silent():
    async def chunks():
        yield b"first\\n"
        try:
            await asyncio.sleep(3600)
            yield b"never"
        finally:
            events.append("silent closed")

    return StreamingResponse(chunks(), media_type="text/plain")


@app.websocket("/ws/{name}")
async def echo(websocket: WebSocket, name: str):
    await websocket.accept()
    await websocket.send_json({"name": name, "answer": websocket.state.answer})
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                events.append("websocket gone")
                break
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        events.append("websocket gone")


@app.websocket("/refused")
async def refused(websocket: WebSocket):
    await websocket.close()
"""


@pytest.fixture(scope="module", params=EVERY_SERVER)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The application on each server."""
    directory = tmp_path_factory.mktemp("served")
    (directory / "file.bin").write_bytes(bytes(range(256)) * 400)
    env = {"SERVED_FILE": str(directory / "file.bin"), "LIFESPAN_LOG": str(directory / "lifespan")}
    name: ServerName = request.param
    with serve(SOURCE, name, env=env) as running:
        yield running
    assert (directory / "lifespan").read_text() == "shutdown"


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A client of the server."""
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


def eventually(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait until something has become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.02)


def test_json_and_path_parameters(http: httpx.Client) -> None:
    """Plain answers, converted parameters, and the error of one that cannot be."""
    response = http.get("/json")
    assert response.json() == {"message": "Hello, World!"}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == "27"
    assert response.headers["x-stamp"] == "1"
    assert http.get("/items/3?q=a%20b").json() == {"item_id": 3, "q": "a b"}
    assert http.get("/items/x").status_code == 422
    assert http.get("/sync").json() == {"sync": True}


def test_head_options_and_405(http: httpx.Client) -> None:
    """HEAD has the headers alone; what a path lacks is 405 with `Allow`."""
    head = http.head("/json")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "27")
    options = http.options("/json")
    assert (options.status_code, options.headers["allow"]) == (405, "GET, HEAD")
    assert http.get("/none").json() == {"detail": "Not Found"}


def test_redirects(http: httpx.Client) -> None:
    """Redirect responses, and the one for a last slash."""
    assert http.get("/redirect").headers["location"] == "/json"
    assert http.get("/json/").headers["location"] == f"{http.base_url}/json"


def test_lifespan_state_reaches_requests(http: httpx.Client) -> None:
    """Startup ran once, and what it yielded is in the state."""
    assert http.get("/state").json() == {"answer": 42, "startups": 1, "client": "127.0.0.1"}


def test_fifty_mebibytes_stream_without_being_held(http: httpx.Client) -> None:
    """A large stream passes through in pieces."""
    before = http.get("/rss").json()
    size = 0
    with http.stream("GET", "/big") as response:
        for chunk in response.iter_raw():
            for _ in range((size + len(chunk)) // MIB - size // MIB):
                http.get("/more")
            size += len(chunk)
    assert size == 50 * MIB
    assert http.get("/rss").json() - before < 25 * 1024


def test_fifty_mebibytes_are_uploaded_in_chunks(http: httpx.Client) -> None:
    """A large body arrives in pieces."""

    def body() -> Iterator[bytes]:
        for _ in range(50):
            yield b"y" * MIB

    for options in ({"content": body()}, {"content": b"y" * (50 * MIB)}):
        answer = http.post("/upload", **options).json()
        assert answer["size"] == 50 * MIB
        assert answer["largest"] <= 2 * MIB


def test_files_and_ranges(http: httpx.Client) -> None:
    """A file whole, in part, in parts, not at all, and not again."""
    content = bytes(range(256)) * 400
    whole = http.get("/file")
    assert whole.content == content
    assert whole.headers["content-length"] == str(len(content))
    assert whole.headers["content-disposition"] == 'attachment; filename="file.bin"'
    part = http.get("/file", headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert http.get("/file", headers={"range": "bytes=-10"}).content == content[-10:]
    parts = http.get("/file", headers={"range": "bytes=0-9,50-59"})
    assert parts.status_code == 206
    assert content[50:60] in parts.content
    assert http.get("/file", headers={"range": "bytes=999999-"}).status_code == 416
    assert http.head("/file").headers["content-length"] == str(len(content))
    stale = {"range": "bytes=0-9", "if-range": '"other"'}
    assert http.get("/file", headers=stale).status_code == 200


def test_exceptions(http: httpx.Client, server: Server) -> None:
    """A handled one is its answer; an unhandled one is 500, and in the server's log."""
    response = http.get("/teapot")
    assert (response.status_code, response.json()) == (418, {"detail": "short and stout"})
    response = http.get("/bug")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    eventually(lambda: "ZeroDivisionError: a bug" in server.log)


def test_background_tasks_run(http: httpx.Client) -> None:
    """A response's task runs after it."""
    assert http.get("/background").json() == {}
    eventually(lambda: "background" in http.get("/events").json())


@pytest.mark.parametrize(("path", "event"), [("/endless", "stream closed"), ("/silent", "silent closed")])
def test_a_client_that_leaves_ends_its_stream(http: httpx.Client, server: Server, path: str, event: str) -> None:
    """The generator of a stream is closed once its client is gone, whether it sends or waits."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    eventually(lambda: event in http.get("/events").json())


def test_websockets_echo_text_and_binary(http: httpx.Client, server: Server) -> None:
    """Messages of both kinds come back, and the end is noticed."""
    with connect(f"ws://127.0.0.1:{server.port}/ws/n") as websocket:
        assert websocket.recv() == '{"name":"n","answer":42}'
        websocket.send("text é")
        assert websocket.recv() == "text é"
        blob = os.urandom(100_000)
        websocket.send(blob)
        assert websocket.recv() == blob
    eventually(lambda: "websocket gone" in http.get("/events").json())


@pytest.mark.parametrize("path", ["/refused", "/nowhere"])
def test_refused_websockets_are_403(server: Server, path: str) -> None:
    """Closing before accepting refuses the handshake."""
    with pytest.raises(InvalidStatus) as caught, connect(f"ws://127.0.0.1:{server.port}{path}"):
        pass
    assert caught.value.response.status_code == 403
