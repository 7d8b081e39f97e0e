"""A stream's status is sent with its first chunk, or soon: what is raised before that is answered as anywhere."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import ClientFactory
from tests.servers import EVERY_SERVER, ServerName, serve
from velithon import HTTPException, Velithon
from velithon.middleware import Middleware
from velithon.middleware.cors import CORSMiddleware
from velithon.middleware.gzip import GZipMiddleware
from velithon.middleware.logging import LoggingMiddleware
from velithon.responses import EventSourceResponse, JSONResponse, StreamingResponse


class Through:
    """An ASGI layer of somebody else."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


async def through(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def fails(delay: float = 0) -> AsyncIterator[bytes]:
    if delay:
        await asyncio.sleep(delay)
    raise ValueError("before the first chunk")
    yield b""


def fails_in_a_thread() -> Iterator[bytes]:
    raise ValueError("before the first chunk")
    yield b""


def make(*layers: Any, dispatch: bool = False) -> Velithon:
    """Return an application with each kind of stream behind layers."""
    made = Velithon(middleware=[Middleware(layer) for layer in layers])
    if dispatch:
        made.middleware("http")(through)

    @made.get("/stream")
    async def stream(delay: float = 0) -> StreamingResponse:
        return StreamingResponse(fails(delay))

    @made.get("/thread")
    async def thread() -> StreamingResponse:
        return StreamingResponse(fails_in_a_thread())

    @made.get("/events")
    async def events() -> EventSourceResponse:
        return EventSourceResponse(fails())

    @made.get("/lines")
    async def lines() -> AsyncIterator[dict[str, int]]:
        raise ValueError("before the first line")
        yield {}

    @made.get("/forbidden")
    async def forbidden() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            raise HTTPException(403, "Not yours.")
            yield b""

        return StreamingResponse(chunks())

    @made.get("/silent")
    async def silent(kind: str, first: float = 0) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            if first:
                await asyncio.sleep(first)
                yield b"first"
            await asyncio.Event().wait()

        return EventSourceResponse(chunks()) if kind == "events" else StreamingResponse(chunks())

    @made.get("/empty")
    async def empty() -> StreamingResponse:
        return StreamingResponse(iter(()), headers={"x-a": "1"})

    return made


app = make()
app.mount("/layer", make(Through))
app.mount("/dispatch", make(dispatch=True))
app.mount("/both", make(Through, dispatch=True))

PATHS = ("/stream", "/stream?delay=0.3", "/thread", "/events", "/lines")
PREFIXES = ("", "/layer", "/dispatch", "/both")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_is_raised_before_the_first_chunk_is_a_500(client: ClientFactory, prefix: str, path: str) -> None:
    answer = client(app, raise_server_exceptions=False).get(prefix + path)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    with pytest.raises(ValueError, match="before the first"):
        client(app).get(prefix + path)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_handlers_answer_it(client: ClientFactory, prefix: str) -> None:
    answer = client(app).get(f"{prefix}/forbidden")
    assert (answer.status_code, answer.json()) == (403, {"detail": "Not yours."})


def test_a_handler_of_the_application_answers_it(client: ClientFactory) -> None:
    made = make()

    @made.exception_handler(ValueError)
    async def handler(request: Any, exc: ValueError) -> JSONResponse:
        return JSONResponse(str(exc), 409)

    answer = client(made).get("/stream")
    assert (answer.status_code, answer.json()) == (409, "before the first chunk")


def test_layers_see_the_500_too(client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    made = make(CORSMiddleware, GZipMiddleware, LoggingMiddleware)
    with caplog.at_level("INFO", logger="velithon.access"):
        answer = client(made, raise_server_exceptions=False).get("/stream", headers={"origin": "https://a.example"})
    assert answer.status_code == 500
    assert [record.__dict__["status"] for record in caplog.records if record.name == "velithon.access"] == [500]


def test_an_empty_stream_is_sent(client: ClientFactory) -> None:
    answer = client(app).get("/empty")
    assert (answer.status_code, answer.content, answer.headers["x-a"]) == (200, b"", "1")


def headers_after(port: int, path: str) -> float:
    """Return the seconds until the headers of an answer were there, and nothing else."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        begun = time.monotonic()
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            data = connection.recv(4096)
            assert data, received
            received += data
        assert received.startswith(b"HTTP/1.1 200"), received
        return time.monotonic() - begun


@pytest.mark.server
@pytest.mark.parametrize("server", EVERY_SERVER)
def test_it_is_a_500_on_each_server_and_a_silent_stream_begins_soon(server: ServerName) -> None:
    """Granian over ASGI keeps the headers until the first chunk, whatever an application sends; see the page."""
    with serve(f"{__name__}:app", server) as running:
        for prefix in PREFIXES:
            for path in PATHS:
                answer = httpx.get(running.url + prefix + path, trust_env=False)
                assert (answer.status_code, answer.text) == (500, "Internal Server Error"), prefix + path
            assert httpx.get(f"{running.url}{prefix}/forbidden", trust_env=False).status_code == 403
            if server != "granian-asgi":
                assert 0.05 < headers_after(running.port, f"{prefix}/silent?kind=events") < 0.9
                assert 0.9 < headers_after(running.port, f"{prefix}/silent?kind=stream") < 3
            assert headers_after(running.port, f"{prefix}/silent?kind=stream&first=0.1") < 0.9
        # One record for each request that failed.
        assert running.log.count("Traceback") == len(PATHS) * len(PREFIXES)
