"""CORS against Starlette's own middleware, and what is ours."""

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware as StarletteCORSMiddleware
from starlette.responses import PlainTextResponse as StarlettePlainTextResponse
from starlette.responses import StreamingResponse as StarletteStreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.conftest import ClientFactory
from velithon import HTTPException, Middleware, Request, Velithon
from velithon.middleware.cors import CORSMiddleware
from velithon.responses import FileResponse, PlainTextResponse, StreamingResponse

POLICIES: list[dict[str, Any]] = [
    {},
    {"allow_origins": ["*"]},
    {"allow_origins": ["*"], "allow_credentials": True, "allow_methods": ["*"], "allow_headers": ["*"]},
    {
        "allow_origins": ["*"],
        "allow_methods": ["GET", "POST", "PUT", "DELETE"],
        "allow_headers": ["*"],
        "allow_credentials": True,
    },
    {"allow_origins": ["https://a.example"], "allow_methods": ["POST"], "allow_headers": ["X-A"], "max_age": 5},
    {"allow_origins": ["https://a.example"], "allow_credentials": True, "expose_headers": ["X-B", "X-C"]},
    {"allow_origin_regex": r"https://.*\.example", "allow_private_network": True},
]

REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    *itertools.product(
        ["GET"],
        ["/", "/vary", "/stream", "/nowhere"],
        [{}, {"origin": "https://a.example"}, {"origin": "https://evil.test"}, {"origin": "null"}],
    ),
    ("OPTIONS", "/", {"origin": "https://a.example"}),
    ("OPTIONS", "/", {"access-control-request-method": "GET"}),
    *(
        ("OPTIONS", "/", {"origin": origin, "access-control-request-method": method, **more})
        for origin in ("https://a.example", "https://evil.test")
        for method in ("GET", "POST", "DELETE")
        for more in (
            {},
            {"access-control-request-headers": "x-a, content-type"},
            {"access-control-request-headers": "x-z"},
            {"access-control-request-private-network": "true"},
        )
    ),
]


def starlettes(policy: dict[str, Any]) -> TestClient:
    async def root(request: Any) -> Any:
        return StarlettePlainTextResponse("ok")

    async def vary(request: Any) -> Any:
        return StarlettePlainTextResponse("ok", headers={"vary": "Accept", "access-control-allow-origin": "x"})

    async def stream(request: Any) -> Any:
        return StarletteStreamingResponse(iter(["a", "b"]))

    routes = [Route("/", root), Route("/vary", vary), Route("/stream", stream)]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(StarletteCORSMiddleware, **policy)]))


def ours(policy: dict[str, Any]) -> Velithon:
    app = Velithon(middleware=[Middleware(CORSMiddleware, **policy)])

    @app.get("/")
    async def root() -> Any:
        return PlainTextResponse("ok")

    @app.get("/vary")
    async def vary() -> Any:
        return PlainTextResponse("ok", headers={"vary": "Accept", "access-control-allow-origin": "x"})

    @app.get("/stream")
    async def stream() -> Any:
        return StreamingResponse(iter(["a", "b"]))

    return app


def policy_headers(answer: Any) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if name == "vary" or name.startswith("access-control")
    }


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_answers_are_starlettes(client: ClientFactory, policy: dict[str, Any]) -> None:
    theirs, mine = starlettes(policy), client(ours(policy))
    for method, path, headers in REQUESTS:
        expected = theirs.request(method, path, headers=headers)
        got = mine.request(method, path, headers=headers)
        assert policy_headers(got) == policy_headers(expected), (method, path, headers)
        assert got.status_code == expected.status_code
        if method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers:
            assert got.text == expected.text


@pytest.mark.parametrize("path", ["/refused", "/error", "/gone", "/none", "/mounted/x"])
def test_headers_are_on_error_responses_too(client: ClientFactory, path: str) -> None:
    """Handled exceptions, the 500 made outside, a file that is missing and what a mounted application raises."""
    app = Velithon(middleware=[Middleware(CORSMiddleware, allow_origins=["https://a.example"])])

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(403)

    @app.get("/error")
    async def error() -> None:
        raise ZeroDivisionError

    @app.get("/gone")
    async def gone() -> Any:
        return FileResponse("/nowhere/at/all")

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    app.mount("/mounted", mounted)
    answer = client(app, raise_server_exceptions=False).get(path, headers={"origin": "https://a.example"})
    assert answer.status_code >= 400
    assert policy_headers(answer) == {"access-control-allow-origin": "https://a.example", "vary": "Origin"}


def test_headers_are_on_the_500_of_a_users_handler(client: ClientFactory) -> None:
    app = Velithon(middleware=[Middleware(CORSMiddleware, allow_origins=["*"])])

    @app.exception_handler(Exception)
    async def handler(request: Request, exc: Exception) -> Any:
        return PlainTextResponse("sorry", status_code=500)

    @app.get("/")
    async def error() -> None:
        raise ZeroDivisionError

    answer = client(app, raise_server_exceptions=False).get("/", headers={"origin": "https://a.example"})
    assert (answer.text, answer.headers["access-control-allow-origin"]) == ("sorry", "*")


def test_every_origin_with_credentials_is_warned_of_once(
    client: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = ours({"allow_origins": ["*"], "allow_credentials": True})
    with caplog.at_level(logging.WARNING, "velithon.middleware.cors"):
        with client(app) as c:
            c.get("/")
            c.get("/")
    assert [record.getMessage()[:42] for record in caplog.records] == ["CORSMiddleware allows credentials to every"]


@pytest.mark.parametrize(("asked", "status"), [("bytes=99-", 416), ("bytes=x", 400)])
def test_a_refused_range_has_the_headers_of_layers(
    client: ClientFactory, tmp_path: Path, asked: str, status: int
) -> None:
    """What a layer puts on the file's answer is on the refusal too, but not what lets a cache keep it."""
    (tmp_path / "a.txt").write_text("abc")
    app = Velithon(middleware=[Middleware(CORSMiddleware, allow_origins=["https://a.example"])])

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(tmp_path / "a.txt", headers={"cache-control": "max-age=60", "x-own": "1"})

    response = client(app).get("/file", headers={"range": asked, "origin": "https://a.example"})
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == "https://a.example"
    assert response.headers["x-own"] == "1"
    assert "cache-control" not in response.headers
    assert response.headers.get_list("content-type") == ["text/plain; charset=utf-8"]
