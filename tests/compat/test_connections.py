"""Connections and background tasks as packages ask for them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any, TypedDict

import fastapi.exceptions
import pytest
import starlette.requests
import starlette.websockets

import velithon.requests
import velithon.routing
import velithon.websockets
from tests.conftest import ClientFactory
from velithon import BackgroundTask, BackgroundTasks, Depends, Request, Response, Velithon, WebSocket
from velithon.exceptions import HTTPException, RequestValidationError
from velithon.responses import JSONResponse


class Shared(TypedDict):
    """What a lifespan yields."""

    number: int


def kinds(request: Request = None, websocket: WebSocket = None, q: int = 1) -> list[Any]:  # type: ignore[assignment]
    """Serve both kinds of connection, as an integration's own dependency does."""
    return [request is not None, websocket is not None, q]


def test_a_connection_of_the_other_kind_keeps_its_default(client: ClientFactory) -> None:
    """And what stands after it in the signature is given by name."""
    app = Velithon()

    @app.get("/")
    def endpoint(found: list[Any] = Depends(kinds)) -> list[Any]:
        return found

    @app.websocket("/")
    async def chat(websocket: WebSocket, found: list[Any] = Depends(kinds)) -> None:
        await websocket.accept()
        await websocket.send_json(found)
        await websocket.close()

    http = client(app)
    assert http.get("/?q=3").json() == [True, False, 3]
    with http.websocket_connect("/?q=4") as websocket:
        assert websocket.receive_json() == [False, True, 4]


def test_connections_with_the_type_of_their_state(client: ClientFactory) -> None:
    """Starlette's typed state: `Request[State]`, `WebSocket[State]`."""
    app = Velithon()

    @app.get("/")
    def endpoint(request: starlette.requests.Request[Shared], any_: starlette.requests.HTTPConnection[Shared]) -> str:
        return request.url.path + any_.url.path

    @app.websocket("/")
    async def chat(websocket: starlette.websockets.WebSocket[Shared]) -> None:
        await websocket.accept()
        await websocket.close()

    http = client(app)
    assert http.get("/").json() == "//"
    with http.websocket_connect("/") as websocket:
        assert websocket.receive()["type"] == "websocket.close"


def test_no_background_task_is_lost(client: ClientFactory) -> None:
    """Those of the parameter, of the returned response, and those added after `yield` all run."""
    app, done = Velithon(), list[str]()

    def late(tasks: BackgroundTasks) -> Iterator[None]:
        yield
        tasks.add_task(done.append, "late")

    @app.get("/", dependencies=[Depends(late)])
    def endpoint(tasks: BackgroundTasks) -> Response:
        tasks.add_task(done.append, "parameter")
        return Response("x", background=BackgroundTask(done.append, "response"))

    assert client(app).get("/").text == "x"
    assert done == ["parameter", "response", "late"]


@pytest.mark.parametrize("registered", [RequestValidationError, fastapi.exceptions.RequestValidationError])
def test_a_handler_of_either_class_answers_both(client: ClientFactory, registered: type[Exception]) -> None:
    """Ours is raised by the framework, FastAPI's by a package."""
    app = Velithon()

    @app.exception_handler(registered)
    async def answer(request: Request, exc: Any) -> Response:
        return JSONResponse({"errors": len(exc.errors())}, 400)

    @app.get("/theirs")
    def theirs() -> None:
        raise fastapi.exceptions.RequestValidationError([{"type": "x", "loc": ("query",), "msg": "m", "input": 1}])

    @app.get("/ours")
    def ours(q: int) -> None: ...

    http = client(app)
    assert [http.get(path).json() for path in ("/theirs", "/ours")] == [{"errors": 1}] * 2
    assert [http.get(path).status_code for path in ("/theirs", "/ours")] == [400, 400]


@pytest.mark.parametrize("registered", [HTTPException, fastapi.exceptions.HTTPException])
def test_a_handler_of_either_http_exception_answers_both(client: ClientFactory, registered: type[Exception]) -> None:
    """And FastAPI's errors of validation are 422 without a handler."""
    app = Velithon()

    @app.exception_handler(registered)
    async def answer(request: Request, exc: Any) -> Response:
        return JSONResponse({"own": exc.detail}, exc.status_code)

    @app.get("/{which}")
    def endpoint(which: str) -> None:
        if which == "validation":
            raise fastapi.exceptions.RequestValidationError([{"type": "x", "loc": ("query",), "msg": "m", "input": 1}])
        raise (fastapi.exceptions.HTTPException if which == "theirs" else HTTPException)(418, which)

    http = client(app)
    assert [http.get(f"/{which}").json() for which in ("theirs", "ours")] == [{"own": "theirs"}, {"own": "ours"}]
    assert http.get("/validation").status_code == 422


def test_a_wrapper_with_a_signature_of_its_own_serves_both_kinds(client: ClientFactory) -> None:
    """As a container's `@inject` does it: it adds a parameter of each kind, and gets the one that there is."""

    async def home(**given: Any) -> list[str]:
        return sorted(given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(cls.__name__, keyword, annotation=cls) for cls in (Request, WebSocket)]
    home.__signature__ = inspect.Signature(added)  # type: ignore[attr-defined]
    app = Velithon()
    app.get("/")(home)
    assert client(app).get("/").json() == ["Request"]


def test_add_route_takes_starlettes_name(client: ClientFactory) -> None:
    """Of an application the parameter is `route`."""
    app = Velithon()
    app.add_route("/", route=lambda request: Response("x"))
    assert client(app).get("/").text == "x"


@pytest.mark.parametrize("name", ["get_request_handler", "get_websocket_app", "websocket_session"])
def test_internals_say_what_to_use_instead(name: str) -> None:
    """They are there for packages to import, and for instruments to replace."""
    with pytest.raises(NotImplementedError, match=r"use \w*Route"):
        getattr(velithon.routing, name)()


@pytest.mark.asyncio
async def test_the_internal_that_serializes_says_what_to_use_instead() -> None:
    """It is awaited where it is used."""
    with pytest.raises(NotImplementedError, match="TypeAdapter"):
        await velithon.routing.serialize_response()  # type: ignore[attr-defined]  # found by `__getattr__`


def test_a_signature_written_by_hand_is_called_by_name(client: ClientFactory) -> None:
    """Its parameters may stand in another order than those of the function (Strawberry's context, dishka)."""

    def home(first: int, second: int) -> list[int]:
        return [first, second]

    kept = list(inspect.signature(home).parameters.values())
    turned = [one.replace(annotation=int) for one in reversed(kept)]
    home.__signature__ = inspect.Signature(turned)  # type: ignore[attr-defined]
    app = Velithon()
    app.get("/")(home)
    assert client(app).get("/?first=1&second=2").json() == [1, 2]


def test_connections_are_starlettes_to_whoever_looks_at_a_signature(client: ClientFactory) -> None:
    """Packages compare annotations with `is`: without a match they keep a request where they do not expect one."""
    assert velithon.Request is velithon.requests.Request is starlette.requests.Request
    assert velithon.WebSocket is velithon.websockets.WebSocket is starlette.websockets.WebSocket
    kept: dict[str, Any] = {}

    def cache(function: Any) -> Any:
        """Keep results by the arguments that are no connections, as packages that cache endpoints do."""

        @functools.wraps(function)
        async def cached(**given: Any) -> Any:
            names = inspect.signature(function).parameters
            key = {n: given[n] for n in names if names[n].annotation is not starlette.requests.Request}
            return kept.setdefault(repr(key), await function(**given))

        return cached

    app, calls = Velithon(), iter(range(9))

    async def endpoint(request: Any, response: Any, q: int = 1) -> list[int]:
        return [q, next(calls)]

    endpoint.__annotations__.update(request=Request, response=Response)
    app.get("/")(cache(endpoint))
    http = client(app)
    assert [http.get(f"/?q={q}").json() for q in (1, 1, 2, 1)] == [[1, 0], [1, 0], [2, 2], [1, 0]]


def refuse(request: Request) -> None:
    """Answer an error of its own, as a package does whose users register no handler for it."""

    async def handler(request: Request, exc: LookupError) -> JSONResponse:
        return JSONResponse({"refused": str(exc)}, 401)

    handlers, _ = request.scope["starlette.exception_handlers"]
    handlers.setdefault(LookupError, handler)
    raise LookupError("no token")


def test_handlers_that_a_dependency_adds(client: ClientFactory) -> None:
    """A scope shows the application's tables of exception handlers, where packages add to them, mounted or not."""
    inner = Velithon(dependencies=[Depends(refuse)])
    inner.add_api_route("/", lambda: None)
    app = Velithon()
    app.mount("/inner", inner)

    @app.get("/known")
    def known(request: Request) -> bool:
        by_class, _ = request.scope["starlette.exception_handlers"]
        return LookupError in by_class

    http = client(app)
    for _ in range(2):
        response = http.get("/inner/")
        assert (response.status_code, response.json()) == (401, {"refused": "no token"})
    assert http.get("/known").json() is False


def test_no_root_path(client: ClientFactory) -> None:
    """Settings that are not set hand `root_path=None` on, as FastAPI takes it."""
    app = Velithon(root_path=None)  # type: ignore[arg-type]  # what settings say
    app.add_api_route("/", lambda: "answer")
    assert client(app).get("/").json() == "answer"
