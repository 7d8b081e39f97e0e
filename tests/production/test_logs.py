"""What the log of a server says: when it is ready, and one line a request."""

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from websockets.sync import client as websocket_client

from tests.cli.processes import velithon_run
from tests.servers import EVERY_SERVER, ServerName, serve
from tests.waiting import until

pytestmark = pytest.mark.server

connect: Any = websocket_client.connect

APP = """
import asyncio, contextlib, time
from velithon import Middleware, Velithon, WebSocket
from velithon.middleware.logging import LoggingMiddleware

@contextlib.asynccontextmanager
async def lifespan(app):
    await asyncio.sleep(0.5)
    print("application started", flush=True)
    yield

app = Velithon(lifespan=lifespan, middleware=[Middleware(LoggingMiddleware, exclude_paths={"/excluded"})])

@app.get("/")
async def root():
    return 1

@app.get("/excluded")
async def excluded():
    return 1

@app.get("/error")
async def error():
    raise ZeroDivisionError

@app.websocket("/socket")
async def socket(websocket: WebSocket):
    await websocket.accept()
    await websocket.close()
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("server", EVERY_SERVER)
def test_ready_is_said_when_it_is_true(server: ServerName, workers: int, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    kind, _, interface = server.partition("-")
    mode = ["--interface", interface] if interface else []
    options = ["main:app", "--server", kind, *mode, "--workers", str(workers)]
    with velithon_run(tmp_path, *options, wait=False) as run:
        until(lambda: "Ready in" in run.text, "the line")
        text = run.text
        assert httpx.get(f"http://127.0.0.1:{run.port}/").json() == 1
    assert text.index("application started") < text.index("Ready in")
    found = re.search(r"INFO     velithon: Ready in (\d+\.\d) s at http://127\.0\.0\.1:(\d+)\n", text)
    assert found is not None
    assert float(found[1]) >= 0.5
    assert run.text.count("Ready in") == 1


def test_ready_is_one_record_of_json(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    with velithon_run(tmp_path, "main:app", "--log-format", "json", wait=False) as run:
        until(lambda: "Ready in" in run.text, "the line")
    (record,) = [json.loads(line) for line in run.text.splitlines() if "Ready in" in line]
    assert record["seconds"] > 0.5
    assert record["address"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("server", EVERY_SERVER)
def test_a_request_has_one_access_line(server: ServerName) -> None:
    """Whoever writes it, its level goes by the status."""
    with serve(APP, server, "--access-log") as running:
        for path in ("/", "/nowhere", "/excluded", "/error"):
            httpx.get(running.url + path)
        with connect(f"ws://127.0.0.1:{running.port}/socket"):
            pass
        deadline = time.monotonic() + 5
        while "/socket" not in running.log and time.monotonic() < deadline:
            time.sleep(0.02)
        lines = [line for line in running.log.splitlines() if re.search(r'"(GET|WEBSOCKET) /', line)]
    found = [
        (level, path)
        for line in lines
        for level, path in re.findall(r'(INFO|WARNING|ERROR) +\S+: \S+ "\w+ (/\w*) HTTP', line)
    ]
    assert found[:4] == [("INFO", "/"), ("WARNING", "/nowhere"), ("INFO", "/excluded"), ("ERROR", "/error")]
    assert [path for _, path in found].count("/socket") == 1


STRUCTLOG = (Path(__file__).parents[2] / "docs/production/logs.md").read_text()


@pytest.mark.parametrize("server", ["granian-rsgi", "uvicorn"])
def test_structlog_writes_every_line(server: ServerName) -> None:
    """The recipe of the documentation, on a server."""
    source = "\n".join(re.findall(r"^```python\n(.*?)^```", STRUCTLOG, re.DOTALL | re.MULTILINE))
    with serve(source, server) as running:
        httpx.get(f"{running.url}/sold/7", headers={"x-request-id": "abc"})
        until(lambda: '"sold"' in running.log, "the event")
        events = [json.loads(line) for line in running.log.splitlines() if line.startswith("{")]
    (event,) = [event for event in events if event["event"] == "sold"]
    assert {key: event[key] for key in ("item_id", "request_id", "logger", "level")} == {
        "item_id": 7,
        "request_id": "abc",
        "logger": "shop",
        "level": "info",
    }
    assert any(event["event"].startswith(("Started worker", "Application startup")) for event in events)
