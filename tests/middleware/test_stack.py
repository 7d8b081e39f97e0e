"""Layers of every form, in any order, around both faces."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware as StarletteBaseHTTPMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse as StarletteJSONResponse
from starlette.responses import StreamingResponse as StarletteStreamingResponse
from starlette.routing import Route as StarletteRoute
from starlette.websockets import WebSocketDisconnect

from tests.conftest import ClientFactory
from velithon import BackgroundTask, HTTPException, Middleware, Request, Router, Velithon, WebSocket
from velithon.datastructures import Protocol, Scope
from velithon.exceptions import RegistrationError
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse

seen: ContextVar[str] = ContextVar("seen", default="nothing")


class RSGILayer:
    """The guide's form."""

    def __init__(self, app: Any, name: str = "rsgi") -> None:
        self.inside = app
        self.name = name

    async def __call__(self, scope: Scope, protocol: Protocol) -> None:
        scope.asgi.setdefault("order", []).append(self.name)
        if scope.headers.get("x-stop") == self.name:
            await JSONResponse({"stopped": self.name}, status_code=401)(scope, protocol)
            return
        await self.inside(scope, protocol)


class QuietRSGILayer:
    """An RSGI layer that asks for nothing."""

    def __init__(self, app: Any) -> None:
        self.inside = app

    async def __call__(self, scope: Scope, protocol: Protocol) -> None:
        await self.inside(scope, protocol)


class ASGILayer:
    """Starlette's form."""

    def __init__(self, app: Any, name: str = "asgi") -> None:
        self.inside = app
        self.name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("order", []).append(self.name)
        if dict(scope.get("headers", ())).get(b"x-stop") == self.name.encode():
            await JSONResponse({"stopped": self.name}, status_code=401)(scope, receive, send)
            return

        async def tagged(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (f"x-{self.name}".encode(), b"1")]
            await send(message)

        await self.inside(scope, receive, tagged)


class DispatchLayer(BaseHTTPMiddleware):
    """Ours."""

    def __init__(self, app: Any, name: str = "dispatch") -> None:
        super().__init__(app)
        self.name = name

    async def dispatch(self, request: Request, proceed: Any) -> Any:
        request.scope.setdefault("order", []).append(self.name)
        if request.headers.get("x-stop") == self.name:
            return JSONResponse({"stopped": self.name}, status_code=401)
        response = await proceed(request)
        response.headers[f"x-{self.name}"] = "1"
        return response


class StarletteDispatchLayer(StarletteBaseHTTPMiddleware):
    """Starlette's own base class."""

    async def dispatch(self, request: Any, proceed: Any) -> Any:
        request.scope.setdefault("order", []).append("starlette")
        return await proceed(request)


class BilingualLayer:
    """Both forms in one class."""

    def __init__(self, app: Any) -> None:
        self.inside = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("order", []).append("bilingual")
        await self.inside(scope, receive, send)

    async def __rsgi__(self, scope: Scope, protocol: Protocol) -> None:
        scope.asgi.setdefault("order", []).append("bilingual")
        await self.inside(scope, protocol)


LAYERS = {
    "rsgi": Middleware(RSGILayer),
    "asgi": Middleware(ASGILayer),
    "dispatch": Middleware(DispatchLayer),
    "starlette": Middleware(StarletteDispatchLayer),
    "bilingual": Middleware(BilingualLayer),
}

ORDERS = [
    ["rsgi"],
    ["bilingual"],
    ["rsgi", "asgi"],
    ["asgi", "rsgi"],
    ["rsgi", "dispatch"],
    ["dispatch", "rsgi"],
    ["asgi", "dispatch", "rsgi", "starlette", "bilingual"],
    ["bilingual", "starlette", "rsgi", "dispatch", "asgi"],
    ["dispatch", "asgi", "bilingual", "rsgi"],
]


def application(order: list[str], **options: Any) -> Velithon:
    app = Velithon(middleware=[LAYERS[name] for name in order], **options)

    @app.post("/items/{item}")
    async def item(request: Request, item: int, q: str = "") -> Any:
        order = request.scope.get("order", [])
        return {"order": order, "item": item, "q": q, "body": await request.json()}

    @app.get("/error")
    async def error() -> None:
        raise KeyError("oh")

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(418, "teapot")

    @app.websocket("/ws/{room}")
    async def ws(websocket: WebSocket, room: int) -> None:
        await websocket.accept()
        text = await websocket.receive_text()
        await websocket.send_json({"text": text, "room": room, "order": websocket.scope.get("order", [])})
        await websocket.close()

    return app


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_last_layer_given_runs_first_whatever_its_form(client: ClientFactory, order: list[str]) -> None:
    """Every form sees the request, in the guide's order, and the endpoint gets it whole."""
    answer = client(application(order)).post("/items/3?q=x", json={"a": 1})
    assert answer.status_code == 200
    assert answer.json() == {"order": order[::-1], "item": 3, "q": "x", "body": {"a": 1}}
    assert ("x-asgi" in answer.headers) == ("asgi" in order)
    assert ("x-dispatch" in answer.headers) == ("dispatch" in order)


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_any_layer_can_answer_by_itself(client: ClientFactory, order: list[str]) -> None:
    for name in {"rsgi", "asgi", "dispatch"} & set(order):
        answer = client(application(order)).post("/items/3", json={}, headers={"x-stop": name})
        assert answer.status_code == 401
        assert answer.json() == {"stopped": name}


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_exceptions_reach_their_handlers_and_the_server(client: ClientFactory, order: list[str]) -> None:
    """A handled exception is answered inside the layers; an unhandled one is a 500 and goes on to the server."""
    app = application(order)
    answer = client(app).get("/refused")
    assert (answer.status_code, answer.json()) == (418, {"detail": "teapot"})
    assert client(app).get("/none").json() == {"detail": "Not Found"}
    with pytest.raises(KeyError):
        client(app).get("/error")
    failed = client(app, raise_server_exceptions=False).get("/error")
    assert (failed.status_code, failed.text) == (500, "Internal Server Error")


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_websockets_pass_every_form(client: ClientFactory, order: list[str]) -> None:
    with client(application(order)).websocket_connect("/ws/4") as websocket:
        websocket.send_text("hi")
        data = websocket.receive_json()
    assert (data["text"], data["room"]) == ("hi", 4)
    assert data["order"] == [name for name in order[::-1] if name not in ("dispatch", "starlette")]


def test_an_rsgi_layer_refuses_a_websocket_with_a_response(client: ClientFactory) -> None:
    from starlette.testclient import WebSocketDenialResponse

    app = application(["rsgi"])
    with pytest.raises(WebSocketDenialResponse) as denied:
        with client(app).websocket_connect("/ws/4", headers={"x-stop": "rsgi"}):
            pass
    assert denied.value.status_code == 401


def test_two_layers_of_one_class_both_run(client: ClientFactory) -> None:
    app = Velithon(middleware=[Middleware(RSGILayer, name="a"), Middleware(RSGILayer, name="b")])

    @app.get("/")
    async def root(request: Request) -> Any:
        return request.scope["order"]

    assert client(app).get("/").json() == ["b", "a"]


def test_added_layers_are_outermost(client: ClientFactory) -> None:
    app = application(["dispatch"])
    app.add_middleware(ASGILayer, name="added")

    @app.middleware("http")
    async def function(request: Request, proceed: Any) -> Any:
        request.scope["order"] = ["function"]
        return await proceed(request)

    assert client(app).post("/items/1", json=1).json()["order"] == ["function", "added", "dispatch"]


@pytest.mark.parametrize(
    "order", [["rsgi"], ["asgi"], ["dispatch"], ["bilingual", "dispatch", "rsgi", "asgi"]], ids=" ".join
)
def test_routers_and_routes_have_layers_of_their_own(client: ClientFactory, order: list[str]) -> None:
    """The first is outermost; path parameters, bodies and WebSockets go through; other routes are untouched."""
    router = Router(prefix="/in", middleware=[LAYERS[name] for name in order])

    @router.post("/{item}", middleware=[Middleware(DispatchLayer, name="own")])
    async def inside(request: Request, item: int) -> Any:
        return {"order": request.scope["order"], "item": item, "body": await request.json()}

    @router.websocket("/ws/{room}")
    async def ws(websocket: WebSocket, room: int) -> None:
        await websocket.accept()
        await websocket.send_json({"room": room, "order": websocket.scope.get("order", [])})
        await websocket.close()

    app = Velithon()
    app.include_router(router)

    @app.get("/out")
    async def outside(request: Request) -> Any:
        return request.scope.get("order")

    assert client(app).post("/in/3", json=[1]).json() == {"order": [*order, "own"], "item": 3, "body": [1]}
    assert client(app).get("/out").json() is None
    with client(app).websocket_connect("/in/ws/7") as websocket:
        expected = [name for name in order if name != "dispatch"]
        assert websocket.receive_json() == {"room": 7, "order": expected}


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_lifespan_state_and_request_state_are_seen_inside(client: ClientFactory, order: list[str]) -> None:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def lifespan(app: Any) -> Any:
        yield {"made": "at start"}

    app = Velithon(lifespan=lifespan, middleware=[LAYERS[name] for name in order])

    @app.middleware("http")
    async def outermost(request: Request, proceed: Any) -> Any:
        request.state.by = "layer"
        return await proceed(request)

    @app.get("/")
    async def root(request: Request) -> Any:
        return [request.state.made, request.state.by]

    with client(app) as c:
        assert c.get("/").json() == ["at start", "layer"]


@pytest.mark.parametrize("order", [["dispatch"], ["starlette"], ["asgi"], ["rsgi"], ["asgi", "dispatch"]], ids=" ".join)
def test_context_variables_are_seen_by_the_endpoint(client: ClientFactory, order: list[str]) -> None:
    app = Velithon(middleware=[LAYERS[name] for name in order])

    @app.middleware("http")
    async def outermost(request: Request, proceed: Any) -> Any:
        seen.set("set outside")
        return await proceed(request)

    @app.get("/async")
    async def in_loop() -> str:
        return seen.get()

    @app.get("/sync")
    def in_thread() -> str:
        return seen.get()

    assert client(app).get("/async").json() == "set outside"
    assert client(app).get("/sync").json() == "set outside"


def test_a_dispatch_layer_runs_in_the_task_of_the_endpoint(client: ClientFactory) -> None:
    """So that what the endpoint sets in the context is seen by the layer, too."""
    app = Velithon()
    found: list[str] = []

    @app.middleware("http")
    async def layer(request: Request, proceed: Any) -> Any:
        response = await proceed(request)
        found.append(seen.get())
        return response

    @app.get("/")
    async def root() -> str:
        seen.set("set inside")
        return "ok"

    client(app).get("/")
    assert found == ["set inside"]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_background_tasks_run_after_the_response(client: ClientFactory, order: list[str]) -> None:
    app = Velithon(middleware=[LAYERS[name] for name in order])
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("async")

    @app.get("/")
    async def root() -> Response:
        return PlainTextResponse("ok", background=BackgroundTask(work))

    with client(app) as c:
        assert c.get("/").text == "ok"
    assert done == ["async"]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_streams_files_and_empty_answers_pass_whole(client: ClientFactory, order: list[str], tmp_path: Any) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(range(256)) * 2000)
    app = Velithon(middleware=[LAYERS[name] for name in order])

    @app.get("/stream")
    async def stream() -> Response:
        async def chunks() -> Any:
            for number in range(5):
                yield f"{number};"

        return StreamingResponse(chunks(), media_type="text/plain")

    @app.get("/file")
    async def file() -> Response:
        return FileResponse(path)

    @app.get("/starlette")
    async def starlettes() -> Any:
        return StarletteJSONResponse({"from": "starlette"}, status_code=203)

    @app.get("/starlette-stream")
    async def starlette_stream() -> Any:
        return StarletteStreamingResponse(iter([b"a", b"b"]))

    @app.get("/empty", status_code=204)
    async def empty() -> None:
        return None

    c = client(app)
    assert c.get("/stream").text == "0;1;2;3;4;"
    assert c.get("/file").content == path.read_bytes()
    part = c.get("/file", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, path.read_bytes()[10:20])
    assert c.head("/file").headers["content-length"] == "512000"
    assert c.get("/starlette").json() == {"from": "starlette"}
    assert c.get("/starlette").status_code == 203
    assert c.get("/starlette-stream").content == b"ab"
    empty_answer = c.get("/empty")
    assert (empty_answer.status_code, empty_answer.content) == (204, b"")


@pytest.mark.parametrize(
    "order", [["dispatch"], ["asgi"], ["rsgi"], ["asgi", "dispatch"], ["rsgi", "dispatch"]], ids=" ".join
)
def test_mounted_applications_answer_behind_layers(client: ClientFactory, order: list[str]) -> None:
    """What a mounted application raises is the application's handlers' to answer, whatever stands around it."""

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/missing"):
            raise HTTPException(404, "not in here")
        message = await receive()
        await PlainTextResponse(message["body"])(scope, receive, send)

    app = Velithon(middleware=[LAYERS[name] for name in order])
    app.mount("/m", mounted)
    c = client(app)
    assert c.post("/m/x", content=b"body").content == b"body"
    assert c.get("/m/missing").json() == {"detail": "not in here"}


def test_a_dropped_response_lets_its_application_go(client: ClientFactory) -> None:
    """An application whose answer a layer throws away neither hangs nor spoils the layer's own."""
    ended: list[str] = []

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(5):
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        ended.append("yes")

    app = Velithon()
    app.mount("/m", mounted)

    @app.middleware("http")
    async def layer(request: Request, proceed: Any) -> Any:
        await proceed(request)
        return PlainTextResponse("another")

    with client(app) as c:
        assert c.get("/m/").text == "another"
        assert c.get("/m/").text == "another"
    assert "yes" in ended


def test_a_layer_may_read_the_body_first(client: ClientFactory) -> None:
    app = application(["rsgi", "asgi"])

    @app.middleware("http")
    async def reads(request: Request, proceed: Any) -> Any:
        assert await request.json() == {"a": 1}
        return await proceed(request)

    assert client(app).post("/items/1", json={"a": 1}).json()["body"] == {"a": 1}


def test_an_rsgi_layer_may_replace_the_protocol(client: ClientFactory) -> None:
    """A response that goes through the layer's own protocol object carries the layer's header on both faces."""

    class Tagging:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __call__(self) -> Awaitable[bytes]:
            return self.inner()  # type: ignore[no-any-return]

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def response_bytes(self, status: int, headers: Any, body: bytes) -> None:
            self.inner.response_bytes(status, [*headers, ("x-tagged", "1")], body)

    class Layer:
        def __init__(self, app: Any) -> None:
            self.inside = app

        async def __call__(self, scope: Scope, protocol: Protocol) -> None:
            await self.inside(scope, Tagging(protocol))

    app = application(["dispatch"])
    app.add_middleware(Layer)
    answer = client(app).post("/items/5?q=z", json=[])
    assert answer.headers["x-tagged"] == "1"
    assert answer.json()["item"] == 5
    router = Velithon()

    @router.get("/{item}", middleware=[Middleware(Layer)])
    async def item(item: int) -> int:
        return item

    assert client(router).get("/8").json() == 8


def test_a_quiet_rsgi_layer_leaves_the_dictionary_unbuilt(client: ClientFactory) -> None:
    app = Velithon(middleware=[Middleware(QuietRSGILayer)])

    @app.get("/{name}")
    async def root(request: Request, name: str) -> Any:
        return [name, request.url.path, request.client is not None, request.headers["x-a"]]

    assert client(app).get("/n", headers={"x-a": "b"}).json() == ["n", "/n", True, "b"]


def test_a_scope_shows_the_request_before_and_after_its_dictionary_is_built(client: ClientFactory) -> None:
    shown: list[Any] = []

    class Looks:
        def __init__(self, app: Any) -> None:
            self.inside = app

        async def __call__(self, scope: Scope, protocol: Protocol) -> None:
            assert isinstance(scope, Scope)
            for _ in range(2):
                shown.append(
                    (scope.proto, scope.method, scope.path, scope.query_string, scope.scheme, scope.http_version)
                    + (scope.headers.get("x-a"), scope.client, scope.server, scope.authority, scope.rsgi_version[:2])
                )
                scope.asgi["method"] = scope.asgi["method"]
            await self.inside(scope, protocol)

    app = application([])
    app.add_middleware(Looks)
    client(app).post("/items/1?q=x", json=1, headers={"x-a": "b"})
    assert shown[0] == shown[1]
    assert shown[0][:4] == ("http", "POST", "/items/1", "q=x")


def test_a_layer_of_no_known_form_is_refused(client: ClientFactory) -> None:
    class Odd:
        def __init__(self, app: Any) -> None: ...

        async def __call__(self, one: Any) -> None: ...

    with pytest.raises(RegistrationError, match="Odd is called with"):
        client(Velithon(middleware=[Middleware(Odd)])).get("/")


def test_a_layer_that_returns_no_response_is_told_so(client: ClientFactory) -> None:
    app = Velithon()

    @app.middleware("http")
    async def forgets(request: Request, proceed: Any) -> Any:
        await proceed(request)

    with pytest.raises(Exception, match="no response"):
        client(app).get("/")


def test_dispatch_layers_work_under_starlette(client: ClientFactory) -> None:
    """A layer of ours around another application is a plain ASGI layer."""
    from starlette.applications import Starlette
    from starlette.routing import Route, WebSocketRoute
    from starlette.testclient import TestClient

    async def root(request: Any) -> Any:
        return StarletteJSONResponse(request.scope["order"])

    async def ws(websocket: Any) -> None:
        await websocket.accept()
        await websocket.close()

    app = Starlette(routes=[Route("/", root), WebSocketRoute("/ws", ws)], middleware=[Middleware(DispatchLayer)])
    with TestClient(app) as visitor:
        answer = visitor.get("/")
        with visitor.websocket_connect("/ws"):
            pass
    assert answer.json() == ["dispatch"]
    assert answer.headers["x-dispatch"] == "1"


def test_base_class_without_dispatch_says_so(client: ClientFactory) -> None:
    app = Velithon(middleware=[Middleware(BaseHTTPMiddleware)])
    with pytest.raises(NotImplementedError, match="defines no dispatch"):
        client(app).get("/")


def test_function_layers_need_the_type_http() -> None:
    with pytest.raises(ValueError, match="'http'"):
        Velithon().middleware("websocket")


Handler = Callable[..., Awaitable[Any]]


def test_an_rsgi_layer_may_replace_the_protocol_of_a_websocket(client: ClientFactory) -> None:
    """What goes through the layer's own object is carried as RSGI carries it."""

    class Same:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    class Layer:
        def __init__(self, app: Any) -> None:
            self.inside = app

        async def __call__(self, scope: Scope, protocol: Protocol) -> None:
            await self.inside(scope, Same(protocol) if scope.proto == "ws" else protocol)

    app = application([])
    app.add_middleware(Layer)

    @app.websocket("/fails")
    async def fails(websocket: WebSocket) -> None:
        await websocket.accept()
        raise ZeroDivisionError

    with client(app).websocket_connect("/ws/5") as websocket:
        websocket.send_text("hi")
        assert websocket.receive_json() == {"text": "hi", "room": 5, "order": []}
    with pytest.raises(ZeroDivisionError), client(app).websocket_connect("/fails") as websocket:
        websocket.receive_text()
    assert client(app).post("/items/1", json=2).json()["item"] == 1


def test_what_a_mounted_application_raises_reaches_the_server(client: ClientFactory) -> None:
    """Behind a layer too, an application's own 500 is the answer, and its error goes on to who logs it."""

    async def bug(request: StarletteRequest) -> None:
        raise ZeroDivisionError("inside")

    app = Velithon()
    app.mount("/inner", Starlette(routes=[StarletteRoute("/bug", bug)]))

    @app.middleware("http")
    async def layer(request: Request, proceed: Any) -> Any:
        response = await proceed(request)
        response.headers["x-layer"] = "1"
        return response

    answer = client(app, raise_server_exceptions=False).get("/inner/bug")
    assert (answer.status_code, answer.text, answer.headers["x-layer"]) == (500, "Internal Server Error", "1")
    with pytest.raises(ZeroDivisionError, match="inside"):
        client(app).get("/inner/bug")


@pytest.mark.parametrize("where", ["application", "route"])
def test_a_layer_that_wraps_the_next_one_by_functools_runs(client: ClientFactory, where: str) -> None:
    """`functools.wraps(app)` shows the next layer's signature as its own; a layer that refuses must not be left out."""

    def refuse(app: Any) -> Any:
        @functools.wraps(app)
        async def refusing(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await app(scope, receive, send)
            elif scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
            else:
                await PlainTextResponse("No.", 403)(scope, receive, send)

        return refusing

    layers = [Middleware(refuse)]  # a function that makes a layer, as some packages have it
    app = Velithon(middleware=layers if where == "application" else [])
    inner = None if where == "application" else layers

    @app.get("/", middleware=inner)
    async def endpoint() -> str:
        return "reached"

    @app.websocket("/ws", middleware=inner)
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    c = client(app)
    assert c.get("/").status_code == 403
    with pytest.raises(WebSocketDisconnect), c.websocket_connect("/ws"):
        pass


def test_layers_see_the_lifespan(client: ClientFactory) -> None:
    """An ASGI layer sees the application start, whatever other layers stand around it, and may take part in it."""
    seen: list[str] = []

    class Watching:
        def __init__(self, app: Any, name: str) -> None:
            self.inside, self.name = app, name

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(f"{self.name} {scope['type']}")
            await self.inside(scope, receive, send)

    class Guarding(BaseHTTPMiddleware):
        async def dispatch_websocket(self, scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "websocket"
            await self.app(scope, receive, send)

        async def dispatch(self, request: Any, proceed: Any) -> Any:
            return await proceed(request)

    async def start() -> None:
        seen.append("started")

    app = Velithon(
        on_startup=[start],
        middleware=[
            Middleware(Watching, name="inner"),
            LAYERS["rsgi"],
            LAYERS["dispatch"],
            Middleware(Guarding),
            Middleware(Watching, name="outer"),
        ],
    )
    with client(app):
        assert seen == ["outer lifespan", "inner lifespan", "started"]
