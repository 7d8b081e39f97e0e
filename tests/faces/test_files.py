"""Files as responses: their parts, in pieces, and again when the file has changed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Velithon
from velithon.responses import FileResponse

CONTENT = bytes(range(256)) * 700
"""Two whole chunks and a part of a third."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("status", [False, True], ids=["looks", "told"])
def test_parts_of_files_are_the_bytes_asked_for(client: ClientFactory, file: Path, status: bool) -> None:
    """In one piece or in several, to the end, over the end, and what is no range; whoever looked at the file."""
    app = Velithon()

    @app.get("/file")
    async def endpoint() -> FileResponse:
        return FileResponse(file, stat_result=file.stat()) if status else FileResponse(file)

    c = client(app)
    size = len(CONTENT)
    whole = c.get("/file")
    assert (whole.content, whole.headers["content-length"]) == (CONTENT, str(size))
    for wanted, start, end in (
        ("0-0", 0, 1),
        ("10-99", 10, 100),
        ("1000-150000", 1000, 150_001),
        ("-7", size - 7, size),
        (f"5-{size * 2}", 5, size),
    ):
        part = c.get("/file", headers={"range": f"bytes={wanted}"})
        assert (part.status_code, part.content) == (206, CONTENT[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["content-length"] == str(end - start)
        assert part.headers["etag"] == whole.headers["etag"]
    several = c.get("/file", headers={"range": "bytes=0-1,70000-140000"})
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert CONTENT[70_000:140_001] in several.content
    assert len(several.content) == int(several.headers["content-length"])
    for wanted, code in ((f"bytes={size}-", 416), ("lines=1-2", 400), ("bytes=9-3", 400)):
        assert c.get("/file", headers={"range": wanted}).status_code == code
    for condition, code in ((whole.headers["etag"], 206), (whole.headers["last-modified"], 206), ('"other"', 200)):
        assert c.get("/file", headers={"range": "bytes=0-1", "if-range": condition}).status_code == code
    assert c.head("/file", headers={"range": "bytes=0-1"}).headers["content-length"] == "2"


def test_a_response_that_is_kept_sends_the_file_as_it_is(client: ClientFactory, file: Path) -> None:
    """The length of a file that another request saw is not said of the next."""
    app, kept = Velithon(), FileResponse(file)

    @app.get("/file")
    async def endpoint() -> FileResponse:
        return kept

    c = client(app)
    for text in (b"one", b"three"):
        file.write_bytes(text)
        answer = c.get("/file")
        assert (answer.content, answer.headers["content-length"]) == (text, str(len(text)))


def test_a_small_file_is_sent_without_watching_the_client(file: Path) -> None:
    """One message is all of it, so `receive` of an ASGI server is not called; a large file's client is watched."""
    app = Velithon()
    watched: list[str] = []

    @app.get("/file")
    async def endpoint() -> FileResponse:
        return FileResponse(file)

    async def ask() -> list[Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            watched.append("watched")
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)
            await asyncio.sleep(0)

        asgi = {"version": "3.0", "spec_version": "2.3"}
        scope = {"type": "http", "method": "GET", "path": "/file", "query_string": b"", "headers": [], "asgi": asgi}
        await asyncio.wait_for(app(scope, receive, send), 10)
        return sent

    assert b"".join(message.get("body", b"") for message in asyncio.run(ask())) == CONTENT
    assert watched
    watched.clear()
    file.write_bytes(CONTENT[:1000])
    messages = asyncio.run(ask())
    assert [message.get("body") for message in messages] == [None, CONTENT[:1000]]
    assert not watched
