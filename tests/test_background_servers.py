"""Background tasks on real servers: what a client that leaves and a shutdown do to them."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.effort import variants
from tests.servers import EVERY_SERVER, SERVERS, Server, ServerName, serve

pytestmark = pytest.mark.server

APP = """
import asyncio
import os
from pathlib import Path

from velithon import Velithon
from velithon.background import BackgroundTask
from velithon.responses import PlainTextResponse, StreamingResponse

app = Velithon(background_grace=1.0)
notes = Path(os.environ["NOTES"])

def note(text):
    with notes.open("a") as file:
        file.write(text + "\\n")

async def finishes():
    note("started")
    while "signalled" not in notes.read_text():
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    note("finished")

async def endless():
    note("started")
    await asyncio.Event().wait()

@app.get("/finishes")
async def start():
    return PlainTextResponse("ok", background=BackgroundTask(finishes))

@app.get("/endless")
async def hang():
    return PlainTextResponse("ok", background=BackgroundTask(endless))

async def chunks():
    while "left" not in notes.read_text():
        yield b"x" * 1000
        await asyncio.sleep(0.02)
    for _ in range(5):
        yield b"x" * 1000
        await asyncio.sleep(0.02)

@app.get("/stream")
async def stream():
    return StreamingResponse(chunks(), background=BackgroundTask(note, "after the stream"))
"""


def get(server: Server, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    return connection


def wait_for(line: str, notes: Path) -> None:
    deadline = time.monotonic() + 10
    while line not in notes.read_text().splitlines():
        assert time.monotonic() < deadline, f"{line!r} was not noted"
        time.sleep(0.02)


def stop(server: Server) -> None:
    """End the server while its output can still be read."""
    server.process.terminate()
    server.process.wait(15)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.touch()
    return path


@pytest.mark.parametrize("name", SERVERS)
def test_a_shutdown_waits_for_tasks_that_end(name: ServerName, notes: Path) -> None:
    with serve(APP, name, env={"NOTES": str(notes)}) as server:
        with get(server, "/finishes"):
            wait_for("started", notes)
        server.process.terminate()
        with notes.open("a") as file:
            file.write("signalled\n")
        server.process.wait(15)
        assert notes.read_text().splitlines() == ["started", "signalled", "finished"]
        assert "abandoned" not in server.log


@pytest.mark.parametrize("name", variants(("granian-rsgi",), EVERY_SERVER))
def test_a_shutdown_abandons_and_names_tasks_that_do_not_end(name: ServerName, notes: Path) -> None:
    with serve(APP, name, "--workers-kill-timeout", "6", env={"NOTES": str(notes)}) as server:
        with get(server, "/endless"):
            wait_for("started", notes)
        stop(server)
        assert "Background task endless was abandoned" in server.log


@pytest.mark.parametrize("name", SERVERS)
def test_a_client_that_leaves_does_not_cancel_the_task(name: ServerName, notes: Path) -> None:
    with serve(APP, name, env={"NOTES": str(notes)}) as server:
        get(server, "/stream").close()
        with notes.open("a") as file:
            file.write("left\n")
        wait_for("after the stream", notes)
        assert "Traceback" not in server.log
