"""What the guide says of logs, handshakes and classes, on real servers."""

import json
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
import logging
import warnings
from velithon import BackgroundTask, HTTPException, Middleware, Velithon, WebSocket
from velithon.middleware.logging import LoggingMiddleware
from velithon.middleware.request_id import RequestIDMiddleware
from velithon.responses import JSONResponse, PlainTextResponse

warnings.warn("imported")

class Stops:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, protocol):
        if scope.headers.get("x-stop"):
            await JSONResponse({"error": "Unauthorized"}, status_code=401)(scope, protocol)
        elif scope.headers.get("x-close"):
            protocol.close()
        else:
            await self.app(scope, protocol)

app = Velithon(middleware=[Middleware(Stops), Middleware(LoggingMiddleware), Middleware(RequestIDMiddleware)])

@app.get("/forget")
async def forget():
    def forgotten():
        pass
    BackgroundTask(forgotten)
    logging.getLogger("shop").info("said")
    return "ok"

@app.get("/fails")
async def fails(text: str):
    def boom():
        raise ValueError(text)
    return PlainTextResponse("ok", background=BackgroundTask(boom))

@app.get("/error")
async def error(text: str):
    raise ValueError(text)

@app.websocket("/ws/{name}")
async def ws(websocket: WebSocket, name: str):
    await websocket.accept()
    await websocket.send_text(name)

@app.websocket("/refuses")
async def refuses(websocket: WebSocket):
    await websocket.close()

@app.websocket("/unauthorized")
async def unauthorized(websocket: WebSocket):
    raise HTTPException(401)
"""

HOSTILE = "%1b%5b31m%0aforged"


def refused(url: str, **headers: str) -> int:
    with pytest.raises(InvalidStatus) as caught, connect(url, additional_headers=headers):
        pass
    status: int = caught.value.response.status_code
    return status


@pytest.mark.parametrize("server", SERVERS)
def test_a_refused_handshake_is_403_or_what_was_asked_for(server: ServerName) -> None:
    with serve(APP, server) as running:
        url = f"ws://127.0.0.1:{running.port}"
        assert refused(f"{url}/refuses") == 403
        assert refused(f"{url}/nowhere") == 403
        assert refused(f"{url}/ws/a", **{"x-close": "1"}) == 403
        assert refused(f"{url}/ws/a", **{"x-stop": "1"}) == 401
        assert refused(f"{url}/unauthorized") == 401


@pytest.mark.parametrize("server", SERVERS)
def test_every_line_is_json_whatever_is_asked_for(server: ServerName) -> None:
    """Warnings of Python, failures of tasks and endpoints, WebSockets; with hostile paths, queries and headers."""
    options = ("--log-format", "json", "--access-log", "--log-level", "INFO")
    with serve(APP, server, *options) as running:
        headers = {"user-agent": "\x1b[31mevil", "x-request-id": "a\tb"}
        with httpx.Client(base_url=running.url, timeout=20) as http:
            assert http.get("/forget", headers={"x-request-id": "rid"}).text == '"ok"'
            http.get("/forget", headers=headers)
            http.get(f"/{HOSTILE}")
            http.get(f"/fails?text={HOSTILE}")
        httpx.get(f"{running.url}/error?text={HOSTILE}")
        with connect(f"ws://127.0.0.1:{running.port}/ws/{HOSTILE}") as websocket:
            assert websocket.recv() == "\x1b[31m\nforged"
        refused(f"ws://127.0.0.1:{running.port}/{HOSTILE}")
        running.process.terminate()
        running.process.wait(15)
        text = running.log
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"timestamp", "level", "logger", "message"} <= line.keys() for line in lines)
    assert not any(char in text for char in "\x1b\x07\x9b")
    messages = [(line["logger"], line["level"], line["message"]) for line in lines]
    warned = [message for logger, level, message in messages if (logger, level) == ("py.warnings", "WARNING")]
    assert any(message.endswith("UserWarning: imported") for message in warned)
    assert any("background task forget.<locals>.forgotten never ran" in message for message in warned)
    failed = next(line for line in lines if line["logger"] == "velithon.background")
    assert (failed["level"], failed["message"].split(":")[0]) == ("ERROR", "Background task fails.<locals>.boom failed")
    assert failed["exception"].endswith("ValueError: \x1b[31m\nforged")
    said = [line for line in lines if line["logger"] == "shop"]
    assert said[0]["request_id"] == "rid"
    assert "a\tb" not in text
    access = [line for line in lines if line["logger"] == "velithon.access"]
    assert {("GET", 200), ("GET", 404), ("GET", 500), ("WEBSOCKET", 101), ("WEBSOCKET", 403)} == {
        (line["method"], line["status"]) for line in access
    }
    assert f"/{HOSTILE}".lower() in {line["path"].lower() for line in access}


MANY = """
from pathlib import Path
from velithon import Velithon
from velithon.staticfiles import StaticFiles

Path("static").mkdir(exist_ok=True)
Path("static/a.bin").write_bytes(bytes(256_000))
app = Velithon()

@app.middleware("http")
async def passes(request, call_next):
    return await call_next(request)

app.mount("/static", StaticFiles(directory="static"))
"""


@pytest.mark.parametrize("server", SERVERS)
def test_files_behind_a_layer_arrive_every_time(server: ServerName) -> None:
    """Granian takes a question for the next message that was asked too early for one about the client's end."""
    with serve(MANY, server) as running, httpx.Client(base_url=running.url, timeout=20) as http:
        for _ in range(100):
            whole = http.get("/static/a.bin")
            assert (whole.status_code, len(whole.content)) == (200, 256_000)
            part = http.get("/static/a.bin", headers={"range": "bytes=5-6"})
            assert (part.status_code, part.content) == (206, b"\0\0")
