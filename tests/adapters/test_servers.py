"""The adapters on real servers: other frameworks on Granian in RSGI mode, an RSGI application on Uvicorn."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.adapters.applications import CHUNK, MEBIBYTE
from tests.servers import Server, serve
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.server

HERE = "tests.adapters.applications"


@pytest.fixture(scope="module")
def starlette() -> Iterator[Server]:
    """A Starlette application on Granian, RSGI."""
    with serve(f"{HERE}:starlette", "granian-rsgi", direct=True) as server:
        yield server


@pytest.fixture(scope="module")
def django() -> Iterator[Server]:
    """A Django application on Granian, RSGI."""
    with serve(f"{HERE}:django", "granian-rsgi", "--factory", direct=True) as server:
        yield server


@pytest.fixture(scope="module")
def raw() -> Iterator[Server]:
    """An RSGI application on Uvicorn."""
    with serve(f"{HERE}:raw", "uvicorn", direct=True) as server:
        yield server


def accepts(path: Path) -> bool:
    """Tell whether a server listens on a UNIX socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def memory(server: Server) -> dict[str, Any]:
    """Ask for the worker's peak and what ended."""
    result: dict[str, Any] = httpx.get(f"{server.url}/memory").json()
    return result


def test_json_and_scope(starlette: Server) -> None:
    """What a Starlette endpoint sees of a request, lifespan state included."""
    seen = httpx.get(f"{starlette.url}/a%20b/%C3%A9?q=1%202", headers=[("x-a", "1"), ("X-A", "2")]).json()
    assert seen["url"] == f"{starlette.url}/a b/é?q=1%202"
    assert seen["raw_path"] == "/a%20b/%C3%A9"
    assert seen["http_version"] == "1.1"
    assert [value for name, value in seen["headers"] if name == "x-a"] == ["1", "2"]
    assert seen["client"][0] == "127.0.0.1"
    assert seen["server"] == ["127.0.0.1", starlette.port]
    assert seen["state"] == "open"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl, which speaks HTTP/2")
def test_http2(starlette: Server) -> None:
    """`:authority` is the host, split cookies are one header."""
    command = ["curl", "-sf", "--http2-prior-knowledge", "-H", "cookie: a=1", "-H", "cookie: b=2"]
    done = subprocess.run([*command, f"{starlette.url}/x"], capture_output=True, check=True, timeout=30)
    seen = json.loads(done.stdout)
    assert seen["http_version"] == "2"
    assert seen["headers"][0] == ["host", f"127.0.0.1:{starlette.port}"]
    assert seen["cookies"] == {"a": "1", "b": "2"}
    done = subprocess.run(
        ["curl", "-sf", "--http2-prior-knowledge", "--data-binary", "@-", f"{starlette.url}/upload"],
        input=CHUNK * 16,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert json.loads(done.stdout)["size"] == MEBIBYTE


def test_streaming_50_mib(starlette: Server) -> None:
    """Nothing gathers on the way. RSGI has no backpressure, so the reader asks for each mebibyte."""
    before = memory(starlette)["peak"]
    size = 0
    with httpx.Client(base_url=starlette.url) as other, httpx.stream("GET", f"{starlette.url}/big") as response:
        assert "content-length" not in response.headers
        other.post("/next")
        for chunk in response.iter_raw():
            before_chunk, size = size, size + len(chunk)
            if size // MEBIBYTE > before_chunk // MEBIBYTE:
                other.post("/next")
    assert size == 50 * MEBIBYTE
    assert memory(starlette)["peak"] - before < 25


@pytest.mark.parametrize("declared", [True, False])
def test_upload_of_50_mib(starlette: Server, declared: bool) -> None:
    """It arrives in chunks, and nothing gathers."""
    before = memory(starlette)["peak"]
    headers = {"content-length": str(50 * MEBIBYTE)} if declared else {}
    body = (CHUNK for _ in range(50 * MEBIBYTE // len(CHUNK)))
    seen = httpx.post(f"{starlette.url}/upload", content=body, headers=headers, timeout=60).json()
    assert seen["size"] == 50 * MEBIBYTE
    assert seen["chunks"] > 10
    assert memory(starlette)["peak"] - before < 25


def test_file_and_ranges(starlette: Server) -> None:
    """Whole, in part, HEAD and beyond the end."""
    url = f"{starlette.url}/file"
    response = httpx.get(url)
    assert response.content == CHUNK
    assert response.headers["content-length"] == str(len(CHUNK))
    response = httpx.get(url, headers={"range": "bytes=1000-1999"})
    assert (response.status_code, response.content) == (206, CHUNK[1000:2000])
    assert response.headers["content-range"] == f"bytes 1000-1999/{len(CHUNK)}"
    response = httpx.get(url, headers={"range": "bytes=0-0,-1"})
    assert response.status_code == 206
    assert response.headers["content-type"].startswith("multipart/byteranges")
    assert httpx.get(url, headers={"range": "bytes=9999999-"}).status_code == 416
    response = httpx.head(url)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(CHUNK))
    etag = response.headers["etag"]
    assert httpx.get(url, headers={"range": "bytes=0-1", "if-range": etag}).status_code == 206


def test_head_204_404_and_405(starlette: Server) -> None:
    """Bodies only where there is one; the connection stays usable."""
    with httpx.Client(base_url=starlette.url) as client:
        head = client.head("/x")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 0
        empty = client.get("/headers")
        assert (empty.status_code, empty.content) == (204, b"")
        assert "content-length" not in empty.headers
        assert empty.headers.get_list("set-cookie") == ["a=1", "b=2"]
        # Starlette wrote Latin-1; Granian writes UTF-8.
        assert (b"x-b", "é".encode()) in empty.headers.raw
        assert client.get("/missing").status_code == 404
        wrong = client.post("/file")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD") or wrong.headers[
            "allow"
        ] == "HEAD, GET"


def test_exception(starlette: Server) -> None:
    """A 500, and the traceback in the server's log."""
    response = httpx.get(f"{starlette.url}/boom")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    until(lambda: "ValueError: boom on purpose" in starlette.log)


@pytest.mark.parametrize("path", ["endless", "silent"])
def test_disconnect_while_streaming(starlette: Server, path: str) -> None:
    """The generator ends, also one that sends nothing; its headers came at once."""
    with httpx.stream("GET", f"{starlette.url}/{path}", timeout=10) as response:
        assert response.status_code == 200
    until(lambda: path in memory(starlette)["ended"])


def test_upload_that_breaks_off(starlette: Server) -> None:
    """The endpoint is not given a truncated body as a whole one."""
    with socket.create_connection(("127.0.0.1", starlette.port)) as connection:
        connection.sendall(b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nten bytes!")
    until(lambda: "ClientDisconnect" in starlette.log)


def test_websocket_echo(starlette: Server) -> None:
    """Text, binary, empty, and a large one; the client's close is told."""
    with connect(f"ws://127.0.0.1:{starlette.port}/echo") as websocket:
        for message in ("hé", b"\x00\xff", "", b"", CHUNK):
            websocket.send(message)
            assert websocket.recv(timeout=10) == message
    until(lambda: "echo 1005" in memory(starlette)["ended"])


def test_websocket_that_only_sends(starlette: Server) -> None:
    """It learns that the client left, and the client's close is answered."""
    with connect(f"ws://127.0.0.1:{starlette.port}/clock", close_timeout=5) as websocket:
        assert websocket.recv(timeout=10) == "tick"
        websocket.close(4002)
        assert websocket.close_code == 4002
    until(lambda: "clock" in memory(starlette)["ended"])


def test_websocket_refusals(starlette: Server) -> None:
    """403; 500 with an explanation in the log where RSGI cannot carry what is asked."""
    for path, status in (("refuse", 403), ("subprotocol", 500)):
        with pytest.raises(InvalidStatus) as caught:
            connect(f"ws://127.0.0.1:{starlette.port}/{path}", subprotocols=["chat"])  # type: ignore[list-item]
        assert caught.value.response.status_code == status
    until(lambda: "Granian's `--interface asgi`" in starlette.log)


def test_websocket_close_code(starlette: Server) -> None:
    """1005, and a line in the log, once."""
    for _ in range(2):
        with connect(f"ws://127.0.0.1:{starlette.port}/close") as websocket, pytest.raises(ConnectionClosed):
            websocket.recv(timeout=10)
        assert websocket.close_code == 1005
    until(lambda: "closed with code 4001" in starlette.log)
    assert starlette.log.count("closed with code 4001") == 1


def test_end_of_the_worker() -> None:
    """Background tasks end, then the lifespan does."""
    with serve(f"{HERE}:starlette", "granian-rsgi", direct=True) as server:
        assert httpx.get(f"{server.url}/background").text == "early"
        server.process.terminate()
        server.process.wait(15)
        lines = [line for line in server.log.splitlines() if line.startswith("the ")]
        assert lines == ["the background task ended", "the lifespan ended"]


def test_failed_startup_ends_the_server() -> None:
    """With the reason in the log."""
    with (
        pytest.raises(RuntimeError, match="the server ended with status 1") as caught,
        serve(f"{HERE}:failing", "granian-rsgi", direct=True),
    ):
        pass
    notes = "".join(caught.value.__notes__)
    assert "Application startup failed" in notes
    assert "no database" in notes


def test_unix_socket(tmp_path: Path) -> None:
    """The client has no address there, the server is the socket's path."""
    path = tmp_path / "s"
    command = [sys.executable, "-m", "granian", "--interface", "rsgi", "--uds", str(path), f"{HERE}:starlette"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()}) as process:
        try:
            until(lambda: accepts(path))
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
                seen = client.get("http://localhost/x").json()
        finally:
            process.terminate()
            process.wait(15)
    assert seen["client"] is None
    assert seen["server"] == [str(path), None]


def test_fastapi() -> None:
    """Parameters, models and their errors."""
    with serve(f"{HERE}:fastapi", "granian-rsgi", "--factory", direct=True) as server:
        with httpx.Client(base_url=server.url) as client:
            item = {"name": "a", "price": 1.5}
            assert client.post("/items", json=item).json() == item
            assert client.post("/items", json={"name": "a"}).status_code == 422
            assert client.get("/items/7?q=x").json() == {"number": 7, "q": "x"}
            assert client.get("/openapi.json").json()["paths"].keys() == {"/items", "/items/{number}"}


def test_django(django: Server) -> None:
    """Sync and async views, uploads, files and errors; the lifespan that Django lacks is no obstacle."""
    with httpx.Client(base_url=django.url, timeout=30) as client:
        assert client.get("/json?q=%C3%A9").json() == {"q": "é", "host": f"127.0.0.1:{django.port}"}
        assert client.get("/stream").content == b"abc"
        assert client.post("/upload", content=CHUNK * 160).text == str(10 * MEBIBYTE)
        assert client.get("/file").content == CHUNK
        assert client.head("/json").content == b""
        empty = client.get("/empty")
        assert (empty.status_code, empty.content) == (204, b"")
        assert client.get("/boom").status_code == 500
        assert client.get("/nowhere").status_code == 404


def test_rsgi_application_on_uvicorn(raw: Server) -> None:
    """JSON, files, uploads, exceptions, HEAD."""
    with httpx.Client(base_url=raw.url, timeout=30) as client:
        seen = client.get("/a%20b?q=1", headers={"x-a": "1"}).json()
        assert (seen["path"], seen["query"]) == ("/a b", "q=1")
        assert ["x-a", "1"] in seen["headers"]
        response = client.get("/file")
        assert (response.status_code, response.content) == (206, CHUNK[1000:2000])
        assert client.post("/upload", content=CHUNK * 16).text == str(MEBIBYTE)
        assert client.head("/x").content == b""
        assert client.get("/boom").status_code == 500
    until(lambda: "ValueError: boom on purpose" in raw.log)
    assert "raw is up" in raw.log


def test_rsgi_stream_on_uvicorn(raw: Server) -> None:
    """50 MiB, with Uvicorn's backpressure: nothing gathers."""
    before = int(httpx.get(f"{raw.url}/memory").text)
    size = 0
    with httpx.stream("GET", f"{raw.url}/big", timeout=30) as response:
        for chunk in response.iter_raw():
            size += len(chunk)
    assert size == 50 * MEBIBYTE
    assert int(httpx.get(f"{raw.url}/memory").text) - before < 25


def test_rsgi_websocket_on_uvicorn(raw: Server) -> None:
    """Text and binary."""
    with connect(f"ws://127.0.0.1:{raw.port}/") as websocket:
        for message in ("hé", b"\x00\xff", ""):
            websocket.send(message)
            assert websocket.recv(timeout=10) == message


def test_hooks_on_uvicorn() -> None:
    """They run on the lifespan."""
    with serve(f"{HERE}:raw", "uvicorn", direct=True) as server:
        server.process.terminate()
        server.process.wait(15)
        assert "raw is down" in server.log
