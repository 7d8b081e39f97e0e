"""A dispatch layer reads a response's `body_iterator`, as layers for Starlette do, whatever the endpoint returned."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import starlette.middleware.base

from tests.conftest import ClientFactory
from velithon import BackgroundTask, Velithon
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.responses import FileResponse, JSONResponse, Response, StreamingResponse

Dispatch = Callable[[Any, Any], Any]


async def answer_anew(request: Any, call_next: Any) -> Any:
    """Read all of it and answer with another response."""
    response = await call_next(request)
    body = b"".join([chunk async for chunk in response.body_iterator])
    headers = {"x-length": str(len(body))}
    return Response(body, response.status_code, headers, response.media_type, response.background)


async def put_back(request: Any, call_next: Any) -> Any:
    """Read all of it and put it back."""
    response = await call_next(request)
    chunks = [chunk async for chunk in response.body_iterator]

    async def again() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    response.body_iterator = again()
    response.headers["x-length"] = str(sum(map(len, chunks)))
    return response


async def wrap(request: Any, call_next: Any) -> Any:
    """Put something in its place that reads it only when it is sent."""
    response = await call_next(request)
    before = response.body_iterator
    length = response.headers.get("content-length", "0")

    async def each() -> AsyncIterator[bytes]:
        async for chunk in before:
            assert type(chunk) is bytes
            yield chunk

    response.body_iterator = each()
    response.headers["x-length"] = length
    return response


@pytest.mark.parametrize("base", [BaseHTTPMiddleware, starlette.middleware.base.BaseHTTPMiddleware])
@pytest.mark.parametrize("dispatch", [answer_anew, put_back, wrap])
def test_bodies_of_every_kind(client: ClientFactory, tmp_path: Path, base: Any, dispatch: Dispatch) -> None:
    """In memory, empty, streamed, a file and an error: they arrive whole, and the background task runs once."""
    done: list[str] = []
    app = Velithon()
    app.add_middleware(base, dispatch=dispatch)
    (tmp_path / "file.txt").write_text("of a file")

    @app.get("/json")
    def as_json() -> Response:
        return JSONResponse({"a": 1}, 201, background=BackgroundTask(done.append, "task"))

    @app.get("/empty")
    def empty() -> Response:
        return Response(status_code=204)

    @app.get("/file")
    def file() -> Response:
        return FileResponse(tmp_path / "file.txt")

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        yield "one"

    @app.get("/text")
    async def text() -> Response:
        async def each() -> AsyncIterator[str | bytes | memoryview]:
            yield "é"
            yield b"b"
            yield memoryview(b"c")

        return StreamingResponse(each(), media_type="text/plain")

    with client(app) as http:
        made = http.get("/json")
        assert (made.status_code, made.json(), made.headers["x-length"]) == (201, {"a": 1}, "7")
        assert made.headers["content-type"] == "application/json"
        nothing = http.get("/empty")
        assert (nothing.status_code, nothing.content) == (204, b"")
        assert http.get("/file").text == "of a file"
        assert http.get("/stream").text == '"one"\n'
        assert http.get("/text").text == "ébc"
        missing = http.get("/missing")
        assert (missing.status_code, missing.json()) == (404, {"detail": "Not Found"})
    assert done == ["task"]
