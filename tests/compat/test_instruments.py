"""What instruments patch, replace or override is honoured on both faces, and so is what looks at the next layer."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from typer.testing import CliRunner

from tests.conftest import ClientFactory
from velithon import APIRouter, Velithon
from velithon.cli import app as command
from velithon.requests import Request
from velithon.responses import JSONResponse
from velithon.websockets import WebSocket

Seen = list[tuple[str, str, str | None]]


class Tracer:
    """What a tracer does: it writes down the kind, the route's path and the exception of each connection."""

    def __init__(self, app: Any, seen: Seen) -> None:
        assert inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(app.__call__)
        self.app = app
        self.seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look at what became of it."""
        error = None
        try:
            await self.app(scope, receive, send)
        except ValueError as exc:
            error = str(exc)
            raise
        finally:
            if scope["type"] != "lifespan":
                self.seen.append((scope["type"], getattr(scope.get("route"), "path", "none"), error))


EXPECTED: Seen = [
    ("http", "/items/{item}", None),
    ("http", "/fail/{item}", "broken"),
    ("websocket", "/ws/{item}", None),
]


def fill(app: Velithon) -> Velithon:
    @app.get("/items/{item}")
    async def read(item: int) -> int:
        return item

    @app.get("/fail/{item}")
    async def fail(item: int) -> int:
        raise ValueError("broken")

    @app.websocket("/ws/{item}")
    async def chat(websocket: WebSocket, item: int) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    return app


def drive(client: Any) -> None:
    """Ask for each route; the answers are what they are without an instrument."""
    assert client.get("/items/3").json() == 3
    failed = client.get("/fail/3")
    assert (failed.status_code, failed.text) == (500, "Internal Server Error")
    with client.websocket_connect("/ws/3") as websocket:
        assert websocket.receive_text() == "hello"


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    """A function that replaces a method of Starlette for one test."""
    return lambda name, function: monkeypatch.setattr(Starlette, name, function)


def test_a_patched_starlette_is_called(client: ClientFactory, patched: Callable[[str, Any], None]) -> None:
    """As `sentry_sdk.init()` does it, before the application is made."""
    seen: Seen = []
    original = Starlette.__call__

    async def call(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        async def inner(*asked: Any) -> None:
            await original(self, *asked)

        await Tracer(inner, seen)(scope, receive, send)

    patched("__call__", call)
    with client(fill(Velithon()), raise_server_exceptions=False) as http:
        drive(http)
    assert seen == EXPECTED


def test_a_patched_stack_is_built(client: ClientFactory, patched: Callable[[str, Any], None]) -> None:
    """An agent that wraps `Starlette.build_middleware_stack` wraps the application's too."""
    seen: Seen = []
    original = Starlette.build_middleware_stack
    patched("build_middleware_stack", lambda self: Tracer(original(self), seen))

    class Own(Velithon):
        def build_middleware_stack(self) -> ASGIApp:
            return Tracer(super().build_middleware_stack(), seen)

    with client(fill(Own()), raise_server_exceptions=False) as http:
        drive(http)
    assert seen == EXPECTED


class Proxy:
    """A function wrapped as `wrapt` does it, which passes for the function."""

    def __init__(self, function: Any, before: Callable[[], None]) -> None:
        self._wrapped = function
        self._before = before

    @property  # type: ignore[misc]  # wrapt has no setter either
    def __class__(self) -> Any:
        return type(self._wrapped)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def __get__(self, instance: Any, owner: Any) -> Any:
        """Bind, as functions do."""
        self._before()
        return self._wrapped.__get__(instance, owner)


def test_what_a_layer_patches_as_it_is_made_is_called(client: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elastic's layer wraps Starlette's layer of server errors, which is where it ends a transaction."""
    ended: list[None] = []

    class Patching:
        def __init__(self, app: ASGIApp) -> None:
            call = vars(ServerErrorMiddleware)["__call__"]
            if not isinstance(call, Proxy):
                monkeypatch.setattr(ServerErrorMiddleware, "__call__", Proxy(call, lambda: ended.append(None)))
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)

    app = fill(Velithon())
    app.add_middleware(Patching)
    drive(client(app, raise_server_exceptions=False))
    assert len(ended) == 3


def test_a_layer_finds_the_router_beside_the_route(client: ClientFactory) -> None:
    """Instruments match the path with `scope["router"]` once the answer is made."""
    found = []

    class Look:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            found.append((scope["router"], scope["endpoint"].__name__))

    app = fill(Velithon())
    app.add_middleware(Look)
    assert client(app).get("/items/3").json() == 3
    assert found == [(app.router, "read")]


def test_a_replaced_stack_is_starlettes_kind(client: ClientFactory) -> None:
    """As OpenTelemetry's instrument does it: it takes Starlette's layer of server errors apart and adds its own."""
    seen: Seen = []
    app = fill(Velithon())
    original = app.build_middleware_stack

    def build() -> ASGIApp:
        inner = original()
        assert isinstance(inner, ServerErrorMiddleware)
        return Tracer(ServerErrorMiddleware(inner.app, handler=inner.handler, debug=inner.debug), seen)

    app.build_middleware_stack = build  # type: ignore[method-assign]
    with client(app, raise_server_exceptions=False) as http:
        drive(http)
    assert seen == EXPECTED


def test_a_stack_that_was_set_is_run(client: ClientFactory) -> None:
    """`app.middleware_stack = Layer(app.build_middleware_stack())`."""
    seen: Seen = []
    app = fill(Velithon())
    app.middleware_stack = Tracer(app.build_middleware_stack(), seen)
    with client(app, raise_server_exceptions=False) as http:
        drive(http)
    assert seen == EXPECTED


def test_an_overridden_call_is_called(client: ClientFactory) -> None:
    """A subclass of the application sees every connection, and the lifespan."""
    kinds = []

    class Own(Velithon):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            kinds.append(scope["type"])
            await super().__call__(scope, receive, send)

    with client(fill(Own()), raise_server_exceptions=False) as http:
        drive(http)
    assert kinds == ["lifespan", "http", "http", "websocket"]


def test_the_handlers_of_the_application_answer_on_the_detour(client: ClientFactory) -> None:
    """Users' handlers, the 500 handler, users' layers and the default errors are what they are without it."""

    class Own(Velithon):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await super().__call__(scope, receive, send)

    app = fill(Own())

    @app.exception_handler(500)
    async def broken(request: Request, exc: Exception) -> Any:
        return JSONResponse({"own": str(exc)}, 500)

    @app.middleware("http")
    async def stamp(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-layer"] = "on"
        return response

    http = client(app, raise_server_exceptions=False)
    assert http.get("/fail/3").json() == {"own": "broken"}
    assert http.get("/items/3").headers["x-layer"] == "on"
    assert http.get("/items/x").status_code == 422
    assert http.get("/nowhere").json() == {"detail": "Not Found"}


@pytest.mark.parametrize("where", ["application", "router", "route", "mount"])
def test_every_next_layer_is_an_async_application(client: ClientFactory, where: str) -> None:
    """A layer that tells ASGI 3 by `iscoroutinefunction(app.__call__)` finds it, at every depth."""
    seen: Seen = []
    layers = [Middleware(Tracer, seen), Middleware(Tracer, seen)]
    if where == "application":
        app = fill(Velithon(middleware=layers))
    elif where == "mount":
        app = Velithon()
        app.mount("", fill(Velithon(middleware=layers)))
    else:
        app = Velithon()
        router = APIRouter(middleware=layers if where == "router" else [])
        router.get("/items/{item}", middleware=layers if where == "route" else [])(lambda item: int(item))
        app.include_router(router)
    assert inspect.iscoroutinefunction(app.__call__)
    assert client(app).get("/items/3").json() == 3
    assert [kind for kind, *_ in seen] == ["http", "http"]


@pytest.mark.parametrize("detour", [False, True])
def test_error_observers_are_told_once(client: ClientFactory, detour: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Of each exception without a handler, with its request, and of nothing else; their own failures are logged."""
    told: list[tuple[str, str, str]] = []
    app = fill(Velithon())
    if detour:
        original = app.build_middleware_stack
        app.build_middleware_stack = lambda: original()  # type: ignore[method-assign]

    @app.websocket("/broken")
    async def broken(websocket: WebSocket) -> None:
        raise ValueError("socket")

    @app.get("/handled")
    async def handled() -> None:
        raise KeyError

    @app.exception_handler(KeyError)
    async def answer(request: Request, exc: KeyError) -> Any:
        return JSONResponse({}, 418)

    async def observe(request: Any, exc: Exception) -> None:
        told.append((type(request).__name__, request.url.path, str(exc)))

    def fail(request: Any, exc: Exception) -> None:
        raise RuntimeError("observer")

    app.add_error_observer(fail)
    app.add_error_observer(observe)
    http = client(app, raise_server_exceptions=False)
    with caplog.at_level(logging.ERROR, "velithon"):
        drive(http)
    assert http.get("/handled").status_code == 418
    assert http.get("/items/x").status_code == 422
    with pytest.raises(ValueError, match="socket"), http.websocket_connect("/broken"):
        pass
    assert [path for _, path, _ in told] == ["/fail/3", "/broken"]
    assert [message for *_, message in told] == ["broken", "socket"]
    assert told[1][0] == "WebSocket"
    assert "The error observer" in caplog.text


@pytest.fixture
def module(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with an instrumented application."""
    (tmp_path / "instrumented_shop.py").write_text(
        "from velithon import Velithon\n"
        "class Own(Velithon):\n"
        "    async def __call__(self, scope, receive, send):\n"
        "        await super().__call__(scope, receive, send)\n"
        "app = Own()\n"
        "@app.get('/')\n"
        "def home(): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "instrumented_shop:app"


def test_explain_says_why_the_fast_way_is_left(module: str) -> None:
    """It names what stands in the way."""
    shown = CliRunner().invoke(command, ["explain", "GET", "/", module])
    assert "RSGI      over ASGI, behind an adapter: instrumented_shop.Own.__call__ overrides __call__" in shown.output
