"""Layers and WebSockets on real servers."""

import json
import time
from typing import Any

import httpx2 as httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync import client as websocket_client

from tests.servers import SERVERS, ServerName, serve

pytestmark = pytest.mark.server

# Its origin is a type of its own, and a plain text does.
connect: Any = websocket_client.connect

APP = """
import asyncio
from pathlib import Path
from velithon import BackgroundTask, Middleware, Velithon, WebSocket, WebSocketDisconnect
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.cors import CORSMiddleware
from velithon.middleware.gzip import GZipMiddleware
from velithon.middleware.logging import LoggingMiddleware
from velithon.middleware.request_id import RequestIDMiddleware, get_request_id
from velithon.responses import JSONResponse, PlainTextResponse, StreamingResponse
from velithon.staticfiles import StaticFiles
from velithon.websocket import Heartbeat, WebSocketEndpoint

Path("static").mkdir(exist_ok=True)
Path("static/a.bin").write_bytes(bytes(range(256)) * 1000)
events = []

class GuideForm:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, protocol):
        if scope.headers.get("x-stop"):
            await JSONResponse({"stopped": scope.path}, status_code=401)(scope, protocol)
            return
        scope.asgi["seen"] = scope.method
        await self.app(scope, protocol)

class Plain:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def tagged(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-plain", b"1")]
            await send(message)
        await self.app(scope, receive, tagged)

app = Velithon(middleware=[
    Middleware(GZipMiddleware),
    Middleware(GuideForm),
    Middleware(Plain),
    Middleware(LoggingMiddleware),
    Middleware(RequestIDMiddleware),
    Middleware(CORSMiddleware, allow_origins=["https://a.example"]),
])

@app.middleware("http")
async def function(request, call_next):
    response = await call_next(request)
    response.headers["x-function"] = "1"
    if request.url.path == "/background":
        response.background = BackgroundTask(events.append, "background of the layer")
    return response

@app.get("/")
async def root(request):
    return {"id": get_request_id(), "seen": request.scope["seen"], "text": "x" * 1000}

@app.get("/error")
async def error():
    raise ZeroDivisionError

@app.get("/stream")
async def stream():
    async def chunks():
        try:
            while True:
                yield b"tick\\n"
                await asyncio.sleep(0.01)
        finally:
            events.append("stream ended")
    return StreamingResponse(chunks(), media_type="text/event-stream")

@app.get("/background")
async def background():
    async def work():
        await asyncio.sleep(0.05)
        events.append(f"background {get_request_id()}")
    return PlainTextResponse("ok", background=BackgroundTask(work))

@app.get("/events")
async def seen():
    return events

class Echo(WebSocketEndpoint):
    async def on_connect(self, websocket, room: int):
        await websocket.accept()
        await websocket.send_json({"room": room, "id": get_request_id()})

    async def on_receive(self, websocket, data):
        await websocket.send_text(f"got {data}")

    async def on_disconnect(self, websocket):
        events.append("left")

app.websocket("/ws/{room}", allowed_origins=["https://a.example"])(Echo)

@app.websocket("/ticks")
async def ticks(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text("tick")
            await asyncio.sleep(0.01)
    except WebSocketDisconnect:
        events.append("noticed")

@app.websocket("/beats", heartbeat=Heartbeat(0.05, "?", answer="!", timeout=0.05))
async def beats(websocket: WebSocket):
    await websocket.accept()
    try:
        await websocket.receive_text()
    except WebSocketDisconnect:
        events.append("silent")

@app.websocket("/short")
async def short(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("one")
    await websocket.send_text("two")
    await websocket.close()
    events.append("closed")

@app.websocket("/short-beats", heartbeat=5)
async def short_beats(websocket: WebSocket):
    await short(websocket)
    assert (await websocket.receive())["type"] == "websocket.disconnect"
    events.append("beats closed")

app.mount("/static", StaticFiles(directory="static"))
"""


def wait_for(http: httpx.Client, event: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if any(seen.startswith(event) for seen in http.get("/events").json()):
            return
        time.sleep(0.02)
    raise AssertionError(f"{event} did not come: {http.get('/events').json()}")


@pytest.mark.parametrize("server", SERVERS)
def test_mixed_layers_hold_on_a_real_server(server: ServerName) -> None:
    """Every form of layer at once: order, errors, streams, files, background work, WebSockets."""
    with serve(APP, server) as running, httpx.Client(base_url=running.url, timeout=20) as http:
        origin = {"origin": "https://a.example"}
        answer = http.get("/", headers={**origin, "x-request-id": "rid"})
        assert answer.json()["id"] == "rid"
        assert answer.json()["seen"] == "GET"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert (answer.headers["x-plain"], answer.headers["x-function"]) == ("1", "1")
        assert http.get("/", headers={"x-stop": "1"}).json() == {"stopped": "/"}
        # A server closes the connection after an exception.
        failed = httpx.get(f"{running.url}/error", headers={**origin, "x-request-id": "failed"})
        assert (failed.status_code, failed.text) == (500, "Internal Server Error")
        assert failed.headers["access-control-allow-origin"] == "https://a.example"
        assert failed.headers["x-request-id"] == "failed"
        file = http.get("/static/a.bin")
        assert file.content == bytes(range(256)) * 1000
        assert http.get("/static/a.bin", headers={"range": "bytes=5-6"}).content == b"\x05\x06"
        assert http.get("/static/none").json() == {"detail": "Not Found"}
        with http.stream("GET", "/stream") as stream:
            assert next(stream.iter_lines()) == "tick"
        wait_for(http, "stream ended")
        assert http.get("/background", headers={"x-request-id": "later"}).text == "ok"
        wait_for(http, "background later")
        wait_for(http, "background of the layer")
        websockets(running.port, http)
        assert '"GET /error HTTP/1.1" 500' in running.log


def websockets(port: int, http: httpx.Client) -> None:
    url = f"ws://127.0.0.1:{port}"
    headers: Any = {"x-request-id": "socket"}
    with connect(f"{url}/ws/3", origin="https://a.example", additional_headers=headers) as websocket:
        assert json.loads(websocket.recv()) == {"room": 3, "id": "socket"}
        websocket.send("hi")
        assert websocket.recv() == "got hi"
    wait_for(http, "left")
    for path, origin in (("/ws/3", "https://evil.test"), ("/ws/three", "https://a.example"), ("/nowhere", None)):
        with pytest.raises(InvalidStatus) as refused, connect(url + path, origin=origin):
            pass
        assert refused.value.response.status_code == 403
    with connect(f"{url}/ticks") as websocket:
        assert websocket.recv() == "tick"
    wait_for(http, "noticed")
    for path, event in (("short", "closed"), ("short-beats", "beats closed")):
        with connect(f"{url}/{path}") as websocket:
            assert list(websocket) == ["one", "two"]
        wait_for(http, event)
    with connect(f"{url}/beats") as websocket:
        assert websocket.recv() == "?"
        wait_for(http, "silent")
