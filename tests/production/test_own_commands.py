"""Servers by their own commands serve an application: HTTP, its lifespan, WebSockets, a request's failure."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from websockets.sync import client as websocket_client

from tests.cli.processes import ROOT, listening
from tests.servers import free_port
from tests.waiting import until

pytestmark = pytest.mark.server

connect: Any = websocket_client.connect

APP = """
import contextlib
from velithon import Request, Velithon, WebSocket

@contextlib.asynccontextmanager
async def lifespan(app):
    print("started", flush=True)
    yield {"name": "state"}
    print("stopped", flush=True)

app = Velithon(lifespan=lifespan)

@app.get("/items/{item_id}")
async def item(request: Request, item_id: int):
    return {"id": item_id, "state": request.state.name}

@app.get("/error")
async def error():
    raise ZeroDivisionError("why")

@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()
"""

COMMANDS = {
    "granian": ["granian", "--interface", "rsgi", "--host", "127.0.0.1", "--port", "{port}", "main:app"],
    "granian-asgi": ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "main:app"],
    "uvicorn": ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "main:app"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", "main:app"],
    "gunicorn": [
        *["gunicorn", "--worker-class", "uvicorn.workers.UvicornWorker", "--bind", "127.0.0.1:{port}"],
        *["--worker-tmp-dir", "{directory}", "main:app"],
    ],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_serves_the_application(name: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    log = tmp_path / "log"
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "adapters")])
    with free_port() as port, log.open("wb") as output:
        arguments = [part.format(port=port, directory=tmp_path) for part in COMMANDS[name]]
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=output,
        )
        try:
            until(lambda: listening(port) and "started" in log.read_text(), "the server")
            url = f"http://127.0.0.1:{port}"
            assert httpx.get(f"{url}/items/7", timeout=20).json() == {"id": 7, "state": "state"}
            assert httpx.get(f"{url}/items/seven", timeout=20).status_code == 422
            assert httpx.get(f"{url}/error", timeout=20).status_code == 500
            until(lambda: "ZeroDivisionError: why" in log.read_text(), "the traceback")
            with connect(f"ws://127.0.0.1:{port}/echo") as websocket:
                websocket.send("hello")
                assert websocket.recv() == "hello"
        except BaseException as error:
            error.add_note(log.read_text())
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        assert re.search(r"^stopped$", log.read_text(), re.MULTILINE)
