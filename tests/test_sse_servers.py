"""Streams on real servers: pings come through, and a client that leaves ends the generator and its dependencies."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.servers import SERVERS, ServerName, serve

pytestmark = pytest.mark.server

APP = """
import asyncio
import os
import time
from pathlib import Path

from velithon import Depends, Velithon
from velithon.sse import EventSourceResponse

app = Velithon()
notes = Path(os.environ["NOTES"])

class Often(EventSourceResponse):
    ping_interval = 0.05

def note(text):
    with notes.open("a") as file:
        file.write(text + "\\n")

async def dependency():
    try:
        yield
    finally:
        note("dependency closed")

@app.get("/events", response_class=Often, dependencies=[Depends(dependency)])
async def events():
    try:
        yield {"first": True}
        await asyncio.Event().wait()
    finally:
        note("generator closed")

@app.get("/lines", dependencies=[Depends(dependency)])
def lines():
    try:
        while True:
            yield {"first": True}
            time.sleep(0.02)
    finally:
        note("generator closed")
"""


@pytest.mark.parametrize("server", SERVERS)
def test_a_client_that_leaves_ends_the_stream(server: ServerName, tmp_path: Path) -> None:
    """Events that wait, with pings meanwhile, and lines made in a thread."""
    notes = tmp_path / "notes"
    notes.touch()
    with serve(APP, server, env={"NOTES": str(notes)}) as running:
        for path, awaited in (("/events", b": ping\n\n"), ("/lines", b'{"first": true}\n')):
            notes.write_text("")
            with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
                received = b""
                while received.count(awaited) < 2:
                    chunk = connection.recv(4096)
                    assert chunk, received
                    received += chunk
                assert b'{"first": true}' in received
                assert notes.read_text() == ""
            deadline = time.monotonic() + 20
            while notes.read_text().count("\n") < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert notes.read_text() == "generator closed\ndependency closed\n"
