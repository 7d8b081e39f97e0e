"""Clients that go away on real servers: nothing that their requests opened stays open."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import EVERY_SERVER, Server, ServerName, serve

pytestmark = pytest.mark.server

SOURCE = """
import asyncio
import os
import threading
from typing import Annotated

from velithon import BackgroundTasks, Depends, File, Form, Request, UploadFile, Velithon
from velithon.responses import StreamingResponse

app = Velithon(thread_pool_size=4, form_limits={"max_part_size": 1 << 20})
events = []


async def resource():
    events.append("open")
    try:
        yield
    except BaseException as error:
        events.append(type(error).__name__)
        raise
    finally:
        await asyncio.sleep(0)
        events.append("close")


def sync_resource(outer: Annotated[None, Depends(resource)]):
    events.append("sync open")
    try:
        yield
    finally:
        events.append("sync close")


@app.post("/upload")
async def upload(files: list[UploadFile], title: Annotated[str, Form()] = ""):
    return [file.size for file in files]


@app.post("/upload-by-hand")
async def upload_by_hand(request: Request):
    form = await request.form()
    return len(form)


@app.get("/stream", dependencies=[Depends(sync_resource)])
async def stream():
    async def chunks():
        events.append("stream open")
        try:
            while True:
                yield b"x" * 1024
                await asyncio.sleep(0.01)
        finally:
            events.append("stream close")

    return StreamingResponse(chunks())


@app.get("/lines", dependencies=[Depends(sync_resource)])
async def lines():
    events.append("stream open")
    try:
        while True:
            yield {"a": 1}
            await asyncio.sleep(0.01)
    finally:
        events.append("stream close")


@app.get("/report")
async def report():
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    files = [os.readlink(link) for link in links if os.path.islink(link)]
    return {"events": events, "files": [name for name in files if os.environ["TMPDIR"] in name]}


@app.delete("/report")
async def forget():
    events.clear()
"""


def until(server: Server, fits: Any) -> dict[str, Any]:
    """Ask for the report until it fits; the last one is the test's to judge."""
    deadline = time.monotonic() + 15
    while True:
        report: dict[str, Any] = httpx.get(f"{server.url}/report", timeout=10).json()
        if fits(report) or time.monotonic() > deadline:
            return report
        time.sleep(0.02)


@pytest.fixture(scope="module", params=EVERY_SERVER)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server whose temporary files have a directory of their own."""
    name: ServerName = request.param
    directory = tmp_path_factory.mktemp(name)
    with serve(SOURCE, name, env={"TMPDIR": str(directory)}) as server:
        yield server, directory


PART = b'--b\r\ncontent-disposition: form-data; name="files"; filename="f"\r\n\r\n'


@pytest.mark.parametrize("path", ["/upload", "/upload-by-hand"])
def test_uploads_that_are_broken_off_leave_no_file(running: tuple[Server, Path], path: str) -> None:
    """Files grow to the disk as they arrive; they are closed, and so removed, when the client leaves."""
    server, directory = running
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n"
        head += "content-type: multipart/form-data; boundary=b\r\n\r\n"
        client.sendall(head.encode() + PART + b"x" * 3_000_000 + b"\r\n" + PART + b"y" * 2_000_000)
        assert len(until(server, lambda report: len(report["files"]) == 2)["files"]) == 2
    assert until(server, lambda report: not report["files"])["files"] == []
    assert os.listdir(directory) == []


@pytest.mark.parametrize("path", ["/upload", "/upload-by-hand"])
def test_uploads_leave_no_file(running: tuple[Server, Path], path: str) -> None:
    """Nor do those that are complete, or wrong at their end."""
    server, directory = running
    whole = PART + b"x" * 3_000_000 + b"\r\n"
    large = b'--b\r\ncontent-disposition: form-data; name="title"\r\n\r\n' + b"t" * 2_000_000 + b"\r\n--b--\r\n"
    kind = {"content-type": "multipart/form-data; boundary=b"}
    for body, statuses in (
        (whole + b"--b--\r\n", {200}),
        (whole + b"--broken\x00", {200, 400, 422}),
        (whole + large, {400}),
    ):
        answer = httpx.post(f"{server.url}{path}", content=body, headers=kind, timeout=20)
        assert answer.status_code in statuses, answer.text
    assert until(server, lambda report: not report["files"])["files"] == []
    assert os.listdir(directory) == []


@pytest.mark.parametrize("path", ["/stream", "/lines"])
def test_streams_that_are_broken_off_close_their_resources(running: tuple[Server, Path], path: str) -> None:
    """In order: the stream itself, then what the request opened, the last first."""
    server, _ = running
    httpx.delete(f"{server.url}/report")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert client.recv(100)
        assert "stream open" in until(server, lambda report: "stream open" in report["events"])["events"]
    events = until(server, lambda report: "close" in report["events"])["events"]
    assert [event for event in events if "Error" not in event and "Exit" not in event] == [
        "open",
        "sync open",
        "stream open",
        "stream close",
        "sync close",
        "close",
    ], json.dumps(events)
