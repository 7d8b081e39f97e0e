"""`sys.exit()` in an application ends a request, and never the server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conftest import ClientFactory
from tests.servers import EVERY_SERVER, ServerName, serve
from velithon import BackgroundTasks, Velithon, WebSocket
from velithon.exceptions import VelithonError
from velithon.responses import EventSourceResponse, StreamingResponse

app = Velithon()


@app.get("/alive")
async def alive() -> bool:
    return True


@app.get("/endpoint")
async def endpoint() -> None:
    sys.exit(3)


@app.get("/interrupted")
async def interrupted() -> None:
    raise KeyboardInterrupt


async def chunks() -> AsyncIterator[bytes]:
    yield b"a"
    sys.exit(3)


@app.get("/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse(chunks())


@app.get("/events")
async def events() -> EventSourceResponse:
    return EventSourceResponse(chunks())


@app.get("/background")
async def background(tasks: BackgroundTasks) -> bool:
    tasks.add_task(sys.exit, 3)
    return True


@app.websocket("/ws")
async def websocket(websocket: WebSocket) -> None:
    await websocket.accept()
    sys.exit(3)


@app.exception_handler(LookupError)
async def handler(request: Any, exc: Exception) -> None:
    sys.exit(3)


@app.get("/handler")
async def handled() -> None:
    raise LookupError


@pytest.mark.server
@pytest.mark.parametrize("server", EVERY_SERVER)
def test_the_server_lives(server: ServerName) -> None:
    with serve(f"{__name__}:app", server) as running:

        def get(path: str) -> httpx.Response:
            # A connection for each: Uvicorn closes one after an exception, and does not say so in the answer.
            return httpx.get(running.url + path, trust_env=False)

        for path in ("/endpoint", "/interrupted", "/handler"):
            assert get(path).status_code == 500, path
        for path in ("/stream", "/events", "/background"):
            try:
                assert get(path).status_code == 200, path
            except (httpx.RemoteProtocolError, httpx.ReadError):
                assert path != "/background"  # a stream that is cut off, which the client should see
        with connect(running.url.replace("http", "ws") + "/ws") as socket, pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
        assert get("/alive").json() is True


@pytest.mark.parametrize("path", ["/endpoint", "/interrupted", "/stream", "/handler"])
def test_it_is_an_error_that_names_what_was_raised(client: ClientFactory, path: str) -> None:
    with pytest.raises(VelithonError, match=r"raised (SystemExit\(3\)|KeyboardInterrupt\(\))"):
        client(app).get(path)


def test_a_background_task_that_exits_is_logged(client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    assert client(app).get("/background").json() is True
    assert "SystemExit(3)" in caplog.text
