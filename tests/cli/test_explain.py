"""What `velithon explain` says of requests, routes and layers."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from velithon.cli import app as cli
from velithon.testclient import TestClient

SHOP = """
from collections.abc import AsyncIterator
from typing import Annotated, Any

from opentelemetry.trace import NoOpTracerProvider
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from velithon import (
    Depends, HTTPEndpoint, Query, Request, Router, UploadFile, Velithon, WebSocket, WebSocketEndpoint,
)
from velithon.di import FactoryProvider, Provide, ServiceContainer, SingletonProvider, inject
from velithon.middleware import Middleware
from velithon.routing import Route

class Item(BaseModel):
    name: str

class Search(BaseModel):
    text: str
    size: int = Field(10, alias="limit")

class Clock:
    pass

class Prices:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

class Container(ServiceContainer):
    clock = SingletonProvider(Clock)
    prices = FactoryProvider(Prices, clock=clock)

container = Container()

def settings() -> str:
    return "settings"

async def session(given: Annotated[str, Depends(settings)]) -> AsyncIterator[str]:
    yield given

async def user(token: str, opened: Annotated[str, Depends(session)], given: Annotated[str, Depends(settings)]) -> str:
    return token

async def once() -> str:
    return "once"

class Plain:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

class Native:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, protocol: Any) -> None:
        await self.app(scope, protocol)

class Both(Plain):
    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        await self.app(scope, protocol)

async def stamp(request: Request, call_next: Any) -> Any:
    return await call_next(request)

def fill(app: Velithon) -> Velithon:
    @app.get("/items/{item_id}")
    async def item(item_id: int, q: str, n: int = 1) -> Item:
        return Item(name=q)

    @app.get("/items/{other}", name="later")
    async def other(other: str) -> None: ...

    @app.get("/files/{rest:path}")
    async def file(rest: str) -> None: ...

    @app.post("/items", max_body_size=1000, middleware=[Middleware(Plain)])
    async def make(item: Item) -> Item:
        return item

    @app.post("/upload")
    async def upload(file: UploadFile) -> None: ...

    @app.get("/me")
    async def me(who: Annotated[str, Depends(user)], made: Annotated[str, Depends(once, scope="app")]) -> None: ...

    @app.get("/prices")
    @inject
    async def prices(prices: Prices = Provide[container.prices]) -> None: ...

    @app.get("/search")
    async def search(query: Annotated[Search, Query()]) -> None: ...

    @app.get("/lines")
    async def lines() -> AsyncIterator[int]:
        yield 1

    @app.websocket("/ws/{room}")
    async def chat(websocket: WebSocket, room: str) -> None: ...

    @app.route("/things")
    class Things(HTTPEndpoint):
        async def get(self, limit: int = 10) -> None: ...

    sub = Velithon(middleware=[Middleware(Plain)])

    @sub.get("/deep/{item}")
    def below(item: int) -> None: ...

    rooted = Velithon(root_path="/elsewhere")
    rooted.get("/deep")(below)
    inner = Router()

    @inner.get("/deep")
    def deep() -> None: ...

    class Timed(Route):
        def get_route_handler(self) -> Any:
            return super().get_route_handler()

    special = Router(route_class=Timed, dependencies=[Depends(settings)])

    @special.get("/special")
    async def special_endpoint() -> None: ...

    @app.get("/plain")
    async def plain() -> None: ...

    app.include_router(special)

    @app.websocket("/sockets")
    class Sockets(WebSocketEndpoint): ...

    app.router.routes.append(WebSocketRoute("/foreign-socket", Sockets))
    app.add_route("/asgi", PlainTextResponse("an ASGI application"))
    app.router.mount("/inner", inner)
    app.mount("/sub", sub)
    app.mount("/rooted", rooted)
    app.router.mount("/foreign", PlainTextResponse("foreign"))
    app.frontend("/pages", directory=".")
    return app

app = fill(Velithon())
layered = fill(Velithon(middleware=[Middleware(Plain), Middleware(Native), Middleware(Both)], thread_pool_size=2))
layered.middleware("http")(stamp)
behind = fill(Velithon(root_path="/api"))
traced = fill(Velithon(telemetry={"tracer_provider": NoOpTracerProvider()}))
empty = Velithon()
handles = Velithon(exception_handlers={404: stamp})
"""


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module with two applications, in the working directory."""
    (tmp_path / "explained.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield
    sys.modules.pop("explained", None)


def explained(method: str, path: str, target: str = "explained:app") -> str:
    """What the command says, with runs of spaces as one."""
    result = CliRunner().invoke(cli, ["explain", method, path, "--app", target])
    assert result.exit_code == 0, result.output
    return "\n".join(" ".join(line.split()) for line in result.output.splitlines())


def test_a_model_of_parameters_shows_its_fields() -> None:
    """There is no parameter of the model's own name."""
    assert "query <- query as Search: 'text': str, required; 'limit': int, default 10" in explained("get", "/search")


def test_parameters_and_the_source_of_the_plan() -> None:
    """Each parameter's place, type and default are named, and the generated function is printed."""
    text = explained("get", "/items/3?q=a")
    assert "route GET /items/{item_id} fill.<locals>.item explained.py:" in text
    assert "found by the segments of its path; no pattern is tried" in text
    assert "path item_id = '3'" in text
    assert "also GET /items/{other}" in text
    assert "RSGI direct" in text
    assert "item_id <- path 'item_id': int, required" in text
    assert "q <- query 'q': str, required" in text
    assert "n <- query 'n': int, default 1" in text
    assert "response JSONResponse of what it returns, validated as Item" in text
    assert "async def plan(request):" in text


@pytest.mark.parametrize(
    ("path", "said", "attribute"),
    [
        ("/plain", "the endpoint takes nothing of the request, so none is made", "direct_call"),
        ("/items/3?q=a", "its plan reads the server's scope, so no request is made", "scope_plan"),
        ("/me", None, None),
        ("/special", None, None),
    ],
)
def test_what_the_direct_way_leaves_out(path: str, said: str | None, attribute: str | None) -> None:
    """What is said of a route is what its requests are answered by, once there was one."""
    text = explained("GET", path)
    assert "RSGI direct" in text
    module = importlib.import_module("explained")
    TestClient(module.app, protocol="rsgi").get(path)
    route = module.app.router.table.resolve("GET", path.partition("?")[0]).route
    assert [name for name in ("direct_call", "scope_plan") if getattr(route, name) is not None] == (
        [attribute] if attribute else []
    )
    assert said is None or said in text
    assert ("no request is made" in text or "none is made" in text) == (said is not None)


def test_dependencies_are_numbered_in_the_order_in_which_they_run() -> None:
    """Each runs once; its exit and its thread are told."""
    lines = explained("GET", "/me").splitlines()
    steps = [line for line in lines if line.startswith("step ")]
    assert [step.split("(")[0] for step in steps] == [
        "step 1 settings ",
        "step 2 session ",
        "step 3 user ",
        "step 4 once ",
        "step 5 fill.<locals>.me ",
    ]
    assert "in a thread" in steps[0]
    assert "exit runs after the response was sent" in steps[1]
    assert "made once" in steps[3]
    assert "the endpoint" in steps[4]
    assert "given <- step 1, settings" in lines
    assert "opened <- step 2, session" in lines


def test_containers_show_the_chain_of_providers() -> None:
    """The provider, and in parentheses what it needs."""
    assert "prices <- container: Container.prices (Container.clock)" in explained("GET", "/prices")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/items", ["body read first, as JSON", "item <- body: Item, required", "more than 1,000 bytes"]),
        ("/upload", ["body read first, as a form", "file <- form 'file': UploadFile, required"]),
    ],
)
def test_bodies(path: str, said: list[str]) -> None:
    """What the body is read as, and its limit."""
    text = explained("POST", path)
    assert [part for part in said if part not in text] == []


def test_layers_of_a_route() -> None:
    """They stand beside the application's."""
    assert "layer 1 of the route: Plain: ASGI; on RSGI an adapter" in explained("POST", "/items")


def test_layers_of_the_application() -> None:
    """The outermost first, each with its form and what that costs; and why the way is not the direct one."""
    text = explained("GET", "/items/3", "explained:layered")
    assert "RSGI through layers: 4 layers; thread_pool_size: each request is told its pool" in text
    assert "layer 1 BaseHTTPMiddleware(stamp): a dispatch function, the same on both protocols" in text
    assert "layer 2 Both: has a form for each protocol" in text
    assert "layer 3 Native: RSGI; on ASGI an adapter" in text
    assert "layer 4 Plain: ASGI; on RSGI an adapter" in text


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/nowhere", "route none: 404"),
        ("GET", "/me/", "route none; redirected to /me (307)"),
        ("DELETE", "/me", "route none: 405, allowed are GET, HEAD"),
        ("GET", "/me", "found by the dictionary of paths without parameters"),
        ("GET", "/files/a/b", "found by trying the patterns of 1 of"),
        ("GET", "/things", "limit <- query 'limit': int, default 10"),
        ("HEAD", "/things", "limit <- query 'limit': int, default 10"),
        ("GET", "/lines", "response a stream of JSON lines"),
        ("GET", "/inner/deep", "inside Mount /inner: Router\nroute GET /deep"),
        ("GET", "/sub/deep/1", "inside Mount /sub: Velithon\nroute GET /deep/{item} fill.<locals>.below"),
        ("GET", "/sub/deep/1", "RSGI over ASGI"),
        ("GET", "/sub/deep/1", "layer 1 of the inner application: Plain: ASGI"),
        ("GET", "/sub/deep/1", "item <- path 'item': int, required"),
        ("GET", "/sub", "route none; redirected to /sub/ (307)"),
        ("GET", "/rooted/deep", "inside Mount /rooted: Velithon\nroute none: 404"),
        ("GET", "/sub/nowhere", "inside Mount /sub: Velithon\nroute none: 404\n\nRSGI over ASGI"),
        ("GET", "/foreign/x", "inside Mount /foreign: PlainTextResponse"),
        ("GET", "/foreign/x", "RSGI over ASGI"),
        ("GET", "/pages/a.js", "route none; GET,HEAD /pages FrontendFiles serves files for what no route has"),
        ("WS", "/ws/lobby", "room <- path 'room': str, required"),
        ("WS", "/ws/lobby", "websocket <- injected: websocket"),
        ("GET", "/special", "handler Timed.get_route_handler may wrap the plan"),
        ("GET", "/special", "step 1 settings (in a thread)"),
        ("GET", "/asgi", "endpoint an ASGI application"),
        ("WS", "/sockets", "route /sockets fill.<locals>.Sockets"),
        ("WS", "/foreign-socket", "route /foreign-socket fill.<locals>.Sockets"),
        ("WS", "/nowhere", "the handshake is refused with 403"),
    ],
)
def test_ways(method: str, path: str, said: str) -> None:
    """Who answers, or why nobody does."""
    assert said in explained(method, path)


def test_a_miss_is_answered_directly_unless_somebody_handles_it() -> None:
    """The frontend of the shop may have any path; a handler of 404 is to be called."""
    text = explained("GET", "/nowhere", "explained:empty")
    assert "RSGI direct: one function" in text
    assert "no exception is, and no handler is called" in text
    assert "which somebody has a handler for" in explained("GET", "/nowhere", "explained:handles")
    assert "RSGI direct, and the router tries patterns" in explained("GET", "/nowhere", "explained:app")


def test_a_root_path_is_a_reason_for_the_longer_way() -> None:
    """The path is given as the application sees it, without the prefix that a proxy strips."""
    assert "RSGI through layers: root_path='/api': paths are cut first" in explained("GET", "/me", "explained:behind")


def test_telemetry_is_a_reason_for_the_longer_way() -> None:
    """Each request is a span, which stands around everything else."""
    assert "RSGI through layers: telemetry: a span for each request" in explained("GET", "/me", "explained:traced")


def test_a_path_begins_with_a_slash() -> None:
    """Anything else is a mistake, told in a line."""
    result = CliRunner().invoke(cli, ["explain", "GET", "items", "--app", "explained:app"])
    assert result.exit_code == 1
    assert result.stderr == "velithon: A path starts with '/': got 'items'\n"
