"""Paths that no route has: found out as quickly as others, and answered the same on both faces."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import PlainTextResponse as StarlettePlainText
from starlette.types import Receive, Scope, Send

from tests.adapters import memory
from tests.adapters.memory import Protocol
from tests.adapters.memory import Scope as MemoryScope
from tests.conftest import ClientFactory
from velithon import APIRouter, Velithon
from velithon.exceptions import HTTPException
from velithon.middleware.cors import CORSMiddleware
from velithon.requests import Request
from velithon.responses import JSONResponse, Response
from velithon.testclient import TestClient

NOT_FOUND = {"detail": "Not Found"}
MISSES = ["/nowhere", "/items", "/items/1/more", "/nowhere/", "/static/nothing", "/deep/a/b/c", "/%2e", "/a%0Ab"]


def make(**options: Any) -> Velithon:
    app = Velithon(**options)

    @app.get("/items/{item_id}")
    async def item(item_id: str) -> str:
        return item_id

    @app.get("/static")
    async def static() -> str:
        return "static"

    @app.get("/deep/a/")
    async def deep() -> str:
        return "deep"

    return app


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", MISSES)
def test_a_miss_is_404(client: ClientFactory, method: str, path: str) -> None:
    response = client(make()).request(method, path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == "22"
    assert response.content == (b"" if method == "HEAD" else b'{"detail":"Not Found"}')


@pytest.mark.parametrize(("path", "to"), [("/static/", "/static"), ("/deep/a", "/deep/a/"), ("/items/1/", "/items/1")])
def test_a_slash_too_many_or_too_few_is_no_miss(client: ClientFactory, path: str, to: str) -> None:
    response = client(make()).get(path, follow_redirects=False)
    assert (response.status_code, response.headers["location"].removeprefix("http://testserver")) == (307, to)


@pytest.mark.parametrize("key", [404, HTTPException, StarletteHTTPException])
def test_the_handlers_of_users_answer_misses(client: ClientFactory, key: Any) -> None:
    app = make()

    @app.exception_handler(key)
    async def handle(request: Request, exc: HTTPException) -> JSONResponse:
        return JSONResponse([request.url.path, "route" in request.scope, exc.detail], 404, {"x-own": "1"})

    response = client(app).get("/nowhere")
    assert response.json() == ["/nowhere", False, "Not Found"]
    assert response.headers["x-own"] == "1"


def test_misses_are_problem_documents_where_errors_are(client: ClientFactory) -> None:
    response = client(make(problem_details=True)).get("/nowhere")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["instance"] == "/nowhere"


def test_what_a_layer_adds_to_one_answer_is_not_on_the_next(client: ClientFactory) -> None:
    app = make()
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.example"])

    @app.middleware("http")
    async def mark(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers["x-path"] = request.url.path
        response.headers.append("x-seen", "1")
        return response

    session = client(app)
    for path in MISSES[:3]:
        response = session.get(path, headers={"origin": "https://a.example"})
        assert (response.status_code, response.json()) == (404, NOT_FOUND)
        assert response.headers["access-control-allow-origin"] == "https://a.example"
        assert response.headers.get_list("x-seen") == ["1"]
        assert response.headers["x-path"] == path
    assert "access-control-allow-origin" not in session.get("/nowhere").headers


def test_a_route_that_is_added_later_is_found(client: ClientFactory) -> None:
    app = make()
    session = client(app)
    assert session.get("/nowhere").status_code == 404

    @app.get("/nowhere")
    async def nowhere() -> str:
        return "somewhere"

    assert session.get("/nowhere").json() == "somewhere"
    assert session.get("/elsewhere").status_code == 404


def test_a_frontend_that_is_added_later_answers(client: ClientFactory, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("front")
    app = make()
    session = client(app)
    assert session.get("/nowhere").json() == NOT_FOUND
    app.frontend("/", directory=tmp_path)
    assert session.get("/nowhere", headers={"accept": "text/html"}).text == "front"


def test_a_default_that_is_set_later_answers(client: ClientFactory) -> None:
    app = make()
    session = client(app)
    assert session.get("/nowhere").json() == NOT_FOUND

    async def default(scope: Scope, receive: Receive, send: Send) -> None:
        await StarlettePlainText("default")(scope, receive, send)

    app.router.default = default
    assert session.get("/nowhere").text == "default"


def test_a_router_leaves_its_misses_to_the_application_around_it(client: ClientFactory) -> None:
    router = APIRouter()

    @router.get("/here")
    async def here() -> str:
        return "here"

    app = make()
    app.mount("/inner", router)

    @app.exception_handler(404)
    async def handle(request: Request, exc: HTTPException) -> JSONResponse:
        return JSONResponse("outer", 404)

    session = client(app)
    assert session.get("/inner/here").json() == "here"
    assert session.get("/inner/nowhere").json() == "outer"


def test_an_inner_application_answers_its_misses_itself(client: ClientFactory) -> None:
    app = make()
    app.mount("/inner", make())

    @app.exception_handler(404)
    async def handle(request: Request, exc: HTTPException) -> JSONResponse:
        return JSONResponse("outer", 404)

    session = client(app)
    assert session.get("/inner/nowhere").json() == NOT_FOUND
    assert session.get("/nowhere").json() == "outer"


def _calls(app: Velithon, path: str) -> int:
    """Return how many Python functions a request over RSGI calls; those of the server's objects are none there."""
    calls = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename != memory.__file__

    asyncio.run(app.__rsgi__(MemoryScope(path=path), Protocol()))  # type: ignore[arg-type]
    coroutine: Any = app.__rsgi__(MemoryScope(path=path), Protocol())  # type: ignore[arg-type]
    sys.setprofile(profile)
    try:
        coroutine.send(None)
    except StopIteration:
        return calls
    finally:
        sys.setprofile(None)
    raise AssertionError("the answer waits for something")


def test_a_miss_takes_no_more_calls_than_a_hit() -> None:
    app = make()
    hit = _calls(app, "/items/1")
    assert [path for path in ("/nowhere", "/nowhere/items/1", "/items", "/deep/b") if _calls(app, path) > hit] == []


def test_applications_that_share_a_router_answer_its_misses_each_for_itself() -> None:
    plain, other = make(), Velithon()
    other.router = plain.router

    @other.exception_handler(404)
    async def handle(request: Request, exc: HTTPException) -> JSONResponse:
        return JSONResponse("own", 404)

    for protocol in ("asgi", "rsgi"):
        mine, theirs = TestClient(plain, protocol=protocol), TestClient(other, protocol=protocol)
        for _ in range(2):
            assert theirs.get("/nowhere").json() == "own"
            assert mine.get("/nowhere").json() == NOT_FOUND


def test_layers_that_are_composed_again_are_other_layers(client: ClientFactory) -> None:
    """`middleware_stack = None`, as tests of applications on Starlette write it."""
    app = make()
    assert client(app).get("/nowhere").json() == NOT_FOUND
    app.middleware_stack = None

    @app.exception_handler(404)
    async def handle(request: Request, exc: HTTPException) -> JSONResponse:
        return JSONResponse("own", 404)

    assert client(app).get("/nowhere").json() == "own"
