"""Responses that are wrong in themselves are answered with 500 on both faces; no server is hurt by them."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ClientFactory
from tests.servers import EVERY_SERVER, ServerName, serve
from velithon import Velithon
from velithon.exceptions import HTTPException
from velithon.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from velithon.testclient import TestClient

APP = """
from velithon import Velithon
from velithon.responses import FileResponse, Response, StreamingResponse

app = Velithon()

@app.get("/plain/{code}")
async def plain(code: int):
    return Response("body", code)

@app.get("/stream/{code}")
async def stream(code: int):
    return StreamingResponse(iter([b"body"]), code)

@app.get("/file/{code}")
async def file(code: int):
    return FileResponse(__file__, code)

@app.get("/longer")
async def longer():
    return Response("HTTP/1.1 200 OK", headers={"content-length": "0"})

@app.get("/fine")
async def fine():
    return "fine"
"""


@pytest.mark.parametrize("server", EVERY_SERVER)
def test_servers_survive(server: ServerName) -> None:
    # Uvicorn closes a connection after an exception, which a client that keeps it open may notice too late.
    closing = {"connection": "close"}
    with serve(APP, server) as running, httpx.Client(base_url=running.url, headers=closing) as c:
        for kind in ("plain", "stream", "file"):
            for code in (-1, 0, 99, 100, 101, 199, 600, 999, 1000):
                response = c.get(f"/{kind}/{code}")
                assert (response.status_code, response.text) == (500, "Internal Server Error"), (kind, code)
        assert c.get("/longer").status_code == 500
        assert c.get("/fine").json() == "fine"


@pytest.mark.parametrize("code", [0, 99, 100, 199, 600])
def test_statuses_that_are_none(client: ClientFactory, code: int) -> None:
    app = Velithon()

    @app.get("/plain")
    async def plain() -> Response:
        return Response("body", code)

    @app.get("/json")
    async def json() -> Response:
        return JSONResponse({}, code)

    @app.get("/stream")
    async def stream() -> Response:
        return StreamingResponse(iter([b"body"]), code)

    @app.get("/file")
    async def file() -> Response:
        return FileResponse(Path(__file__), code)

    @app.get("/exception")
    async def exception() -> None:
        raise HTTPException(code, "detail")

    with client(app, raise_server_exceptions=False) as c:
        for path in ("/plain", "/json", "/stream", "/file", "/exception"):
            assert c.get(path).status_code == 500, path
            assert c.get(path).text == "Internal Server Error"
            assert c.head(path).status_code == 500
    with client(app) as c, pytest.raises(ValueError, match="from 200 to 599"):
        c.get("/plain")


def test_users_answer_them(client: ClientFactory) -> None:
    app = Velithon()

    @app.exception_handler(500)
    async def broken(request: Any, exc: Exception) -> Response:
        return PlainTextResponse("sorry", 500)

    @app.get("/")
    async def plain() -> Response:
        return Response("body", 99)

    with client(app, raise_server_exceptions=False) as c:
        assert c.get("/").text == "sorry"


def test_lengths_that_are_wrong(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/given")
    async def given(length: str) -> Response:
        return Response("body", headers={"Content-Length": length})

    @app.get("/set")
    async def later(length: str) -> Response:
        response = PlainTextResponse("body")
        response.headers["content-length"] = length
        return response

    @app.get("/grown")
    async def grown() -> Response:
        response = PlainTextResponse("body")
        assert response.headers.raw
        response.body = b"body, and more"
        return response

    @app.get("/json")
    async def json(length: str) -> Response:
        return JSONResponse([], headers={"content-length": length})

    with client(app, raise_server_exceptions=False) as c:
        for length in ("0", "3", "5", "-4", "four", ""):
            for path in ("/given", "/set", "/json"):
                assert c.get(path, params={"length": length}).status_code == 500, (path, length)
        assert c.get("/grown").status_code == 500
        for path in ("/given", "/set"):
            assert c.get(path, params={"length": "4"}).text == "body"
        assert c.get("/json", params={"length": "2"}).json() == []


def test_lengths_without_a_body(client: ClientFactory) -> None:
    app = Velithon()

    @app.head("/")
    async def head() -> Response:
        return Response(headers={"content-length": "1000"})

    @app.get("/not-modified")
    async def not_modified() -> Response:
        return Response(status_code=304, headers={"content-length": "1000"})

    with client(app) as c:
        response = c.head("/")
        assert (response.status_code, response.headers["content-length"]) == (200, "1000")
        assert c.get("/not-modified").status_code == 304


def test_headers_that_are_none() -> None:
    # ASGI servers refuse such headers themselves.
    app = Velithon()

    @app.get("/")
    async def split() -> Response:
        response = PlainTextResponse("body")
        response.raw_headers.append((b"x-a", b"1\r\nx-b: 2"))
        return response

    with TestClient(app, protocol="rsgi", raise_server_exceptions=False) as c:
        response = c.get("/")
        assert (response.status_code, response.text) == (500, "Internal Server Error")
        assert "x-b" not in response.headers


def test_head_says_that_a_body_is_empty(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/redirect")
    async def redirect() -> Response:
        return RedirectResponse("/elsewhere")

    @app.get("/empty")
    async def empty() -> Response:
        return Response()

    with client(app, follow_redirects=False) as c:
        for path in ("/redirect", "/empty"):
            assert c.get(path).headers["content-length"] == "0"
            assert c.head(path).headers["content-length"] == "0"
