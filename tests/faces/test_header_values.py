"""Header values that would end a header early are a 500 with a reason, and never a header more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import ClientFactory
from velithon import Response, Velithon
from velithon.responses import FileResponse, JSONResponse, StreamingResponse


def raw(value: bytes) -> Callable[[], Response]:
    def make() -> Response:
        response = JSONResponse({})
        response.raw_headers.append((b"x-a", value))
        return response

    return make


def cookie(**options: str) -> Callable[[], Response]:
    def make() -> Response:
        response = JSONResponse({})
        response.set_cookie("a", "b", path=options.get("path", "/"), domain=options.get("domain"))
        return response

    return make


def set_header(value: str) -> Callable[[], Response]:
    def make() -> Response:
        response = JSONResponse({})
        response.headers["x-a"] = value
        return response

    return make


MISTAKES = {
    "media type": (lambda: Response("x", media_type="a\r\nInj: 1"), "content-type"),
    "stream's media type": (lambda: StreamingResponse(iter([]), media_type="a\nInj: 1"), "content-type"),
    "file's media type": (lambda: FileResponse(__file__, media_type="a\nInj: 1"), "content-type"),
    "given": (lambda: JSONResponse({}, headers={"x-a": "a\r\nInj: 1"}), "x-a"),
    "set": (set_header("a\r\nInj: 1"), "x-a"),
    "raw line end": (raw(b"a\r\nInj: 1"), "x-a"),
    "raw null": (raw(b"a\0b"), "x-a"),
    "cookie path": (cookie(path="/; Domain=example.com"), "cookie's path"),
    "cookie path, line end": (cookie(path="/\r\nInj: 1"), "cookie's path"),
    "cookie domain": (cookie(domain="a; Secure"), "cookie's domain"),
}


def application(make: Callable[[], Response]) -> Velithon:
    app = Velithon()

    @app.get("/")
    async def answer() -> Response:
        return make()

    return app


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_client_gets_500_and_no_header_of_the_value(client: ClientFactory, mistake: str) -> None:
    answer = client(application(MISTAKES[mistake][0]), raise_server_exceptions=False).get("/")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert "inj" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_application_is_told_which_header(client: ClientFactory, mistake: str) -> None:
    make, name = MISTAKES[mistake]
    with pytest.raises((ValueError, RuntimeError), match=name):
        client(application(make)).get("/")
