"""Mounted applications: whose lifespan runs, when, and whose requests see what it yielded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import pytest
from starlette import routing as starlette
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from velithon import BackgroundTasks, Request, Response, Velithon, WebSocket
from velithon.middleware.gzip import GZipMiddleware
from velithon.routing import Host, Mount, Router

LifespanFactory = Callable[..., Callable[[Any], AbstractAsyncContextManager[Any]]]


@pytest.fixture
def events() -> list[str]:
    return []


@pytest.fixture
def lifespan(events: list[str]) -> LifespanFactory:
    """A factory of lifespans that note when they begin and end, and yield a state."""

    def make(name: str, **state: Any) -> Any:
        @asynccontextmanager
        async def context(app: Any) -> AsyncIterator[Any]:
            events.append(f"+{name}")
            yield state or None
            events.append(f"-{name}")

        return context

    return make


def shows_state(request: Any) -> JSONResponse:
    """Answer with what the request's state holds of what these tests put there."""
    return JSONResponse({name: getattr(request.state, name, None) for name in ("who", "outer", "inner")})


def foreign(lifespan: Any) -> Starlette:
    return Starlette(lifespan=lifespan, routes=[starlette.Route("/state", shows_state)])


def ours(lifespan: Any, **options: Any) -> Velithon:
    app = Velithon(lifespan=lifespan, **options)
    app.add_route("/state", shows_state)
    return app


def test_our_own_applications_start_inside_the_one_that_mounts_them(
    client: ClientFactory, lifespan: LifespanFactory, events: list[str]
) -> None:
    """Mounts in mounts, in lists of routes and behind hosts too; each application once, however often it is mounted."""
    app, inner = ours(lifespan("app")), ours(lifespan("inner"))
    inner.mount("/deep", ours(lifespan("deep")))
    app.mount("/a", inner)
    app.mount("/again", inner)
    app.host("other.example", ours(lifespan("host")))
    app.router.routes.append(starlette.Mount("/list", routes=[Mount("/of", app=ours(lifespan("listed")))]))
    with client(app) as http:
        started = ["+app", "+inner", "+deep", "+host", "+listed"]
        assert events == started
        assert http.get("/again/deep/state").status_code == http.get("/list/of/state").status_code == 200
    assert events == started + [name.replace("+", "-") for name in reversed(started)]


def test_an_included_router_starts_what_it_mounts_once(
    client: ClientFactory, lifespan: LifespanFactory, events: list[str]
) -> None:
    """Also where its lifespan was replaced by one that goes around it, and with the layers of its mounts."""
    app, router, outer = Velithon(), Router(lifespan=lifespan("router")), Router(prefix="/outer")
    sub = ours(lifespan("sub", inner="sub"))
    router.routes.append(Mount("/sub", app=sub, lifespan=True, middleware=[Middleware(GZipMiddleware)]))
    router.mount("/foreign", foreign(lifespan("foreign")), lifespan=True)
    router.mount("/part", Router(lifespan=lifespan("part")))
    replaced = router.lifespan_context

    @asynccontextmanager
    async def around(app: Any) -> AsyncIterator[Any]:
        events.append("+around")
        async with replaced(app) as state:
            yield state
        events.append("-around")

    router.lifespan_context = around
    outer.include_router(router, prefix="/in")
    app.include_router(outer)
    with client(app) as http:
        assert events == ["+around", "+router", "+part", "+sub", "+foreign"]
        assert http.get("/outer/in/sub/state").json()["inner"] == "sub"
    assert len(events) == 10


@pytest.mark.parametrize("asked", [None, False, True])
def test_a_foreign_application_starts_where_its_mount_says_so(
    client: ClientFactory, lifespan: LifespanFactory, events: list[str], asked: bool | None
) -> None:
    """Many start themselves in the lifespan of the application that mounts them, and cannot start twice."""
    app = ours(lifespan("app", outer="app"))
    app.mount("/foreign", foreign(lifespan("foreign", inner="foreign")), lifespan=asked)
    with client(app) as http:
        assert events == (["+app", "+foreign"] if asked else ["+app"])
        assert http.get("/foreign/state").json() == {"who": None, "outer": "app", "inner": "foreign" if asked else None}
        assert http.get("/state").json() == {"who": None, "outer": "app", "inner": None}
    assert events == (["+app", "+foreign", "-foreign", "-app"] if asked else ["+app", "-app"])


def test_one_of_ours_is_left_alone_where_its_mount_says_so(
    client: ClientFactory, lifespan: LifespanFactory, events: list[str]
) -> None:
    """`lifespan=False` is for those that somebody else starts."""
    app = Velithon(routes=[Mount("/a", app=ours(lifespan("a")), lifespan=False)])
    app.router.routes.append(Host("b.example", app=ours(lifespan("b")), lifespan=False))
    with client(app):
        assert events == []


def test_an_application_that_the_outer_lifespan_starts_by_hand_is_not_started_again(
    client: ClientFactory, lifespan: LifespanFactory, events: list[str]
) -> None:
    """As an application written for FastAPI has to."""
    inner = ours(lifespan("inner"))

    @asynccontextmanager
    async def outer(app: Velithon) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    app = Velithon(lifespan=outer)
    app.mount("/inner", inner)
    for _ in range(2):
        with client(app) as http:
            assert http.get("/inner/state").status_code == 200
    assert events == ["+inner", "-inner"] * 2


def test_states_are_kept_apart(client: ClientFactory, lifespan: LifespanFactory) -> None:
    """Of one name, each application has its own; what requests leave in their state is seen around the mount."""
    seen: list[Any] = []
    app, tasks_saw = ours(lifespan("app", who="app", outer=1)), list[Any]()

    @app.middleware("http")
    async def layer(request: Request, call_next: Any) -> Response:
        request.state.by_layer = "layer"
        response: Response = await call_next(request)
        seen.append((request.state.who, getattr(request.state, "inner", None), getattr(request.state, "left", None)))
        return response

    first, second = (ours(lifespan(name, who=name, inner=name)) for name in ("first", "second"))

    @first.get("/left")
    async def leave(request: Request, tasks: BackgroundTasks) -> str:
        request.state.left = "left"
        tasks.add_task(lambda: tasks_saw.append(request.state.who))
        return str(request.state.by_layer)

    @second.websocket("/ws")
    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json([websocket.state.who, websocket.state.outer])
        await websocket.close()

    app.mount("/first", first)
    app.router.routes.append(starlette.Mount("/second", app=second))
    with client(app) as http:
        assert http.get("/first/state").json() == {"who": "first", "outer": 1, "inner": "first"}
        assert http.get("/second/state").json() == {"who": "second", "outer": 1, "inner": "second"}
        assert http.get("/state").json() == {"who": "app", "outer": 1, "inner": None}
        assert http.get("/first/left").json() == "layer"
        with http.websocket_connect("/second/ws") as websocket:
            assert websocket.receive_json() == ["second", 1]
    assert seen == [("app", None, None)] * 3 + [("app", None, "left")]
    assert tasks_saw == ["first"]


FAILING = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.middleware import Middleware
from velithon import Velithon

@asynccontextmanager
async def lifespan(app):
    raise RuntimeError("The licence has run out.")
    yield

app = Velithon()
app.mount("/reports", KIND(lifespan=lifespan), lifespan=True)
"""


@pytest.mark.parametrize("kind", ["Velithon", "Starlette"])
def test_a_failing_start_is_reported(client: ClientFactory, kind: str) -> None:
    """With the place of the mount, in whose start the whole start fails."""
    names: dict[str, Any] = {}
    exec(FAILING.replace("KIND", kind), names)
    with pytest.raises(Exception, match=r"The licence has run out\.") as caught, client(names["app"]):
        pass
    chain: list[BaseException] = [caught.value]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    assert "It was the start of what is mounted at '/reports'." in [
        note for exc in chain for note in getattr(exc, "__notes__", [])
    ]


def test_where_fastapi_means_velithon_mounts_behave_as_fastapis() -> None:
    """Nothing that is mounted starts by itself; packages that subclass FastAPI start themselves."""
    source = """
import velithon.compat; velithon.compat.install()
from contextlib import asynccontextmanager
from fastapi import FastAPI
from fastapi.testclient import TestClient

@asynccontextmanager
async def lifespan(app):
    print(app.title)
    yield

app = FastAPI(title="outer", lifespan=lifespan)
app.mount("/a", FastAPI(title="unasked", lifespan=lifespan))
app.mount("/b", FastAPI(title="asked", lifespan=lifespan), lifespan=True)
with TestClient(app): pass
"""
    answer = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.split() == ["outer", "asked"]


SERVED = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from velithon import Request, Velithon

def lifespan(name):
    @asynccontextmanager
    async def context(app):
        print(f"start-{name}")
        yield {"name": name}
        print(f"stop-{name}")
    return context

def show(request):
    return PlainTextResponse(request.state.name)

app = Velithon(lifespan=lifespan("outer"))
app.add_route("/", show)
ours = Velithon(lifespan=lifespan("ours"))
ours.add_route("/", show)
app.mount("/ours", ours)
app.mount("/theirs", Starlette(lifespan=lifespan("theirs"), routes=[Route("/", show)]), lifespan=True)
"""


@pytest.mark.server
@pytest.mark.parametrize("server", SERVERS)
def test_on_servers(server: ServerName) -> None:
    """Each lifespan runs around the requests, with its own state."""
    with serve(SERVED, server) as running:
        found = [httpx2.get(running.url + path).text for path in ("/", "/ours/", "/theirs/")]
        running.process.terminate()
        running.process.wait(20)
        log = running.log
    assert found == ["outer", "ours", "theirs"]
    events = [line for line in log.split() if line.startswith(("start-", "stop-"))]
    assert events == ["start-outer", "start-ours", "start-theirs", "stop-theirs", "stop-ours", "stop-outer"]


@pytest.mark.server
@pytest.mark.parametrize("server", ["granian-rsgi", "uvicorn"])
def test_a_failing_start_ends_the_server(server: ServerName) -> None:
    """With a status that is not 0, the reason and the place."""
    with (
        pytest.raises(RuntimeError, match="ended with status") as caught,
        serve(FAILING.replace("KIND", "Starlette"), server, env={**os.environ}),
    ):
        pass
    output = "\n".join(caught.value.__notes__)
    assert "The licence has run out." in output
    assert "mounted at '/reports'" in output
