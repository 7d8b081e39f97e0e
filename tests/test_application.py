"""One application on both faces: routes, errors, lifespan, responses."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware as StarletteBaseHTTPMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse as StarletteJSONResponse
from starlette.routing import Route as StarletteRoute

from tests.conftest import ClientFactory
from velithon import APIRouter, Header, HTTPException, Request, Response, Router, Velithon, WebSocket
from velithon.background import BackgroundTask
from velithon.exceptions import RegistrationError
from velithon.middleware import Middleware
from velithon.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    ORJSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from velithon.testclient import TestClient


def test_router_and_apirouter_are_one_class() -> None:
    """Names of both worlds are one."""
    assert APIRouter is Router


def test_every_method_has_a_decorator_that_returns_the_function(client: ClientFactory) -> None:
    """Each verb's decorator adds a route and gives the function back unchanged."""
    app = Velithon()

    def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.method)

    verbs = ["get", "post", "put", "patch", "delete", "options", "head", "trace"]
    for verb in verbs:
        assert getattr(app, verb)(f"/{verb}")(endpoint) is endpoint
    with client(app) as http:
        for verb in verbs:
            response = http.request(verb.upper(), f"/{verb}")
            assert response.status_code == 200
            assert response.text == ("" if verb == "head" else verb.upper())


@dataclass
class Point:
    x: int
    y: int


class Item(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"a": 1}, b'{"a":1}'),
        ([1, 2], b"[1,2]"),
        ("text", b'"text"'),
        (3, b"3"),
        (2.5, b"2.5"),
        (True, b"true"),
        (None, b"null"),
        (Item(name="n"), b'{"name":"n"}'),
        (Point(1, 2), b'{"x":1,"y":2}'),
        ([Item(name="n")], b'[{"name":"n"}]'),
    ],
)
def test_what_an_endpoint_returns_becomes_json(client: ClientFactory, value: Any, body: bytes) -> None:
    """Anything JSON can carry may be returned."""
    app = Velithon()

    @app.get("/")
    async def endpoint():  # type: ignore[no-untyped-def]
        return value

    response = client(app).get("/")
    assert response.content == body
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(body))


def test_sync_endpoints_run_in_a_thread_with_the_callers_context(client: ClientFactory) -> None:
    """A blocking endpoint leaves the event loop free, and sees context variables."""
    import threading

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    app = Velithon()

    @app.middleware("http")
    async def set_variable(request: Request, call_next: Any) -> Any:
        variable.set("seen")
        return await call_next(request)

    @app.get("/")
    def endpoint() -> dict[str, Any]:
        return {"variable": variable.get(), "thread": threading.get_ident()}

    @app.get("/loop")
    async def loop() -> int:
        return threading.get_ident()

    http = client(app)
    with http:
        answer = http.get("/").json()
        assert answer["variable"] == "seen"
        assert answer["thread"] != http.get("/loop").json()


def test_not_found_and_method_not_allowed(client: ClientFactory) -> None:
    """404 for unknown paths; 405 names every method that the path has."""
    app = Velithon()

    @app.get("/items")
    async def read() -> None:
        """Answer GET."""

    @app.post("/items")
    async def write() -> None:
        """Answer POST."""

    http = client(app)
    assert http.get("/nothing").json() == {"detail": "Not Found"}
    assert http.get("/nothing").status_code == 404
    response = http.delete("/items")
    assert response.status_code == 405
    assert response.json() == {"detail": "Method Not Allowed"}
    assert response.headers["allow"] == "GET, HEAD, POST"


def test_head_answers_where_get_does_without_a_body(client: ClientFactory) -> None:
    """HEAD has GET's headers, its length too, and no body."""
    app = Velithon()

    @app.get("/")
    async def endpoint() -> str:
        return "body"

    response = client(app).head("/")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "6"


@pytest.mark.parametrize("status", [204, 304])
def test_204_and_304_carry_no_body(client: ClientFactory, status: int) -> None:
    """What RFC 9110 forbids is not sent."""
    app = Velithon()

    @app.get("/", status_code=status)
    async def endpoint() -> None:
        """Return nothing."""

    response = client(app).get("/")
    assert (response.status_code, response.content) == (status, b"")
    assert "content-length" not in response.headers


def test_slashes_are_redirected_unless_told_otherwise(client: ClientFactory) -> None:
    """A path that only misses its last slash, or only has it, is redirected with its query."""
    app = Velithon()

    @app.get("/with/")
    @app.get("/without")
    async def endpoint() -> str:
        return "here"

    http = client(app)
    for asked, there in (("/with?a=1", "/with/?a=1"), ("/without/", "/without")):
        response = http.get(asked, follow_redirects=False)
        assert response.status_code == 307
        assert response.headers["location"] == f"http://testserver{there}"
    strict = Velithon(redirect_slashes=False)
    strict.get("/with/")(endpoint)
    assert client(strict).get("/with").status_code == 404


def test_routers_are_included_with_prefix_and_tags_also_late(client: ClientFactory) -> None:
    """Included routes stand under both prefixes, and what is added later is there as well."""
    inner = Router(prefix="/inner", tags=["inner"])
    outer = APIRouter(tags=["outer"])

    @inner.get("/early")
    async def early() -> str:
        return "early"

    outer.include_router(inner, prefix="/outer")
    app = Velithon()
    app.include_router(outer, prefix="/api", tags=["api"])

    @inner.get("/late")
    async def late() -> str:
        return "late"

    http = client(app)
    assert http.get("/api/outer/inner/early").json() == "early"
    assert http.get("/api/outer/inner/late").json() == "late"
    [route] = [route for route in app.routes if getattr(route, "endpoint", None) is early]
    assert route.tags == ["api", "outer", "inner"]  # type: ignore[attr-defined]
    assert app.url_path_for("late") == "/api/outer/inner/late"


def test_routes_given_as_a_list_are_served(client: ClientFactory) -> None:
    """`Velithon(routes=router.routes)` takes over a router's routes, and Starlette's own."""
    router = Router()

    async def handler(request):  # type: ignore[no-untyped-def]
        return JSONResponse({"path": request.url.path})

    router.add_route("/ours", handler, methods=["GET"])
    app = Velithon(routes=[*router.routes, StarletteRoute("/theirs", handler)])
    http = client(app)
    assert http.get("/ours").json() == {"path": "/ours"}
    assert http.get("/theirs").json() == {"path": "/theirs"}


def test_applications_are_mounted_and_hosts_told_apart(client: ClientFactory) -> None:
    """Velithon's and Starlette's applications work under a path and behind a host name, on both faces."""

    async def theirs(request: StarletteRequest) -> StarletteJSONResponse:
        return StarletteJSONResponse({"root": request.scope["root_path"], "url": str(request.url)})

    sub = Velithon()

    @sub.get("/where")
    async def where(request: Request) -> dict[str, str]:
        return {"root": request.scope["root_path"], "link": str(request.url_for("where"))}

    router = Router()

    @router.get("/in-router")
    async def in_router() -> str:
        return "router"

    app = Velithon()
    app.mount("/starlette", Starlette(routes=[StarletteRoute("/x", theirs)]))
    app.mount("/sub", sub)
    app.mount("/router", router)
    app.host("api.example", sub)
    http = client(app)
    assert http.get("/starlette/x").json() == {"root": "/starlette", "url": "http://testserver/starlette/x"}
    assert http.get("/sub/where").json()["root"] == "/sub"
    assert http.get("/router/in-router").json() == "router"
    assert http.get("/router/none").status_code == 404
    assert http.get("http://api.example/where").json()["root"] == ""


def test_exceptions_are_answered_by_status_by_class_and_last_by_the_500_layer(client: ClientFactory) -> None:
    """Handlers for codes and classes, sync and async; the unhandled one is answered and then raised on."""
    app = Velithon()

    class Missing(Exception):
        pass

    @app.exception_handler(Missing)
    def missing(request: Request, exc: Missing) -> Response:
        return JSONResponse({"missing": request.url.path}, status_code=410)

    @app.exception_handler(404)
    async def not_found(request: Request, exc: HTTPException) -> Response:
        return JSONResponse({"nothing": request.url.path}, status_code=404)

    async def everything(request: Request, exc: Exception) -> Response:
        return JSONResponse({"error": type(exc).__name__}, status_code=500)

    app.add_exception_handler(Exception, everything)
    runs = []

    @app.get("/missing")
    async def raise_missing() -> None:
        raise Missing

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, {"any": ["json"]}, headers={"x-tea": "green"})

    @app.get("/bug")
    async def bug() -> None:
        runs.append(1)
        raise ZeroDivisionError

    http = client(app, raise_server_exceptions=False)
    assert http.get("/missing").json() == {"missing": "/missing"}
    assert http.get("/none").json() == {"nothing": "/none"}
    response = http.get("/teapot")
    assert (response.status_code, response.json(), response.headers["x-tea"]) == (
        418,
        {"detail": {"any": ["json"]}},
        "green",
    )
    assert http.get("/bug").json() == {"error": "ZeroDivisionError"}
    assert runs == [1]
    with pytest.raises(ZeroDivisionError):
        client(app).get("/bug")


def test_debug_shows_the_traceback(client: ClientFactory) -> None:
    """In debug mode an unhandled exception's traceback is the answer."""
    app = Velithon(debug=True)

    @app.get("/")
    async def bug() -> None:
        raise ZeroDivisionError("by zero")

    response = client(app, raise_server_exceptions=False).get("/")
    assert response.status_code == 500
    assert "ZeroDivisionError: by zero" in response.text


def test_a_missing_file_is_an_error_that_handlers_see(client: ClientFactory, tmp_path: Path) -> None:
    """A file response that fails before it starts is answered like any exception."""
    app = Velithon()

    @app.exception_handler(RuntimeError)
    async def gone(request: Request, exc: RuntimeError) -> Response:
        return PlainTextResponse("gone", status_code=404)

    @app.get("/")
    async def endpoint() -> FileResponse:
        return FileResponse(tmp_path / "none")

    assert client(app).get("/").text == "gone"


def test_built_in_responses(client: ClientFactory, tmp_path: Path) -> None:
    """HTML, text, redirects, streams of both kinds and files with ranges."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"0123456789")
    app = Velithon()

    @app.get("/html")
    async def html() -> HTMLResponse:
        return HTMLResponse("<h1>é</h1>")

    @app.get("/redirect")
    async def redirect() -> RedirectResponse:
        return RedirectResponse("/html?q=å")

    @app.get("/sync-stream")
    async def sync_stream() -> StreamingResponse:
        def chunks() -> Iterator[str]:
            yield "a"
            yield "b"

        return StreamingResponse(chunks(), media_type="text/plain")

    @app.get("/async-stream")
    async def async_stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"c"
            yield b"d"

        return StreamingResponse(chunks(), 201, {"X-Stream": "yes"})

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(path)

    http = client(app)
    response = http.get("/html")
    assert (response.text, response.headers["content-type"]) == ("<h1>é</h1>", "text/html; charset=utf-8")
    assert http.get("/redirect", follow_redirects=False).headers["location"] == "/html?q=%C3%A5"
    response = http.get("/sync-stream")
    assert (response.text, response.headers["content-type"]) == ("ab", "text/plain; charset=utf-8")
    response = http.get("/async-stream")
    assert (response.status_code, response.text, response.headers["x-stream"]) == (201, "cd", "yes")
    response = http.get("/file")
    assert (response.content, response.headers["content-length"]) == (b"0123456789", "10")
    assert response.headers["accept-ranges"] == "bytes"
    part = http.get("/file", headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    parts = http.get("/file", headers={"range": "bytes=0-1,8-9"})
    assert parts.status_code == 206
    assert parts.headers["content-type"].startswith("multipart/byteranges")
    assert http.get("/file", headers={"range": "bytes=20-"}).status_code == 416
    head = http.head("/file")
    assert (head.content, head.headers["content-length"]) == (b"", "10")


def test_headers_keep_their_duplicates_and_cookies_their_order(client: ClientFactory) -> None:
    """Two cookies are two headers."""
    app = Velithon()

    @app.get("/")
    async def endpoint() -> Response:
        response = Response("x", headers={"X-One": "1"})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        response.headers.append("x-one", "2")
        return response

    response = client(app).get("/")
    assert response.headers.get_list("x-one") == ["1", "2"]
    assert [value.split(";")[0] for value in response.headers.get_list("set-cookie")] == ["a=1", "b=2"]


def test_starlettes_own_responses_and_any_asgi_application_may_be_returned(client: ClientFactory) -> None:
    """A response class that is not ours is sent as it would be under Starlette."""
    app = Velithon()

    class Custom(StarletteJSONResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.headers["x-custom"] = "called"
            await super().__call__(scope, receive, send)

    @app.get("/plain")
    async def plain() -> StarletteJSONResponse:
        return StarletteJSONResponse({"a": 1}, headers={"x-plain": "1"})

    @app.get("/custom")
    async def custom() -> Custom:
        return Custom({"b": 2})

    http = client(app)
    assert http.get("/plain").json() == {"a": 1}
    assert http.get("/plain").headers["x-plain"] == "1"
    response = http.get("/custom")
    assert (response.json(), response.headers["x-custom"]) == ({"b": 2}, "called")


def test_middleware_of_every_form_runs_in_the_guides_order(client: ClientFactory) -> None:
    """The last one given runs first, `add_middleware` outside of all, whatever form each has."""
    order: list[str] = []

    class Guide:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, protocol: Any) -> None:
            order.append(f"guide {scope.path} {scope.headers.get('x-a')}")
            await self.app(scope, protocol)

    class Asgi:
        def __init__(self, app: Any, name: str) -> None:
            self.app = app
            self.name = name

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                order.append(f"asgi {self.name}")
            await self.app(scope, receive, send)

    class Dispatch(StarletteBaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            order.append("dispatch")
            response = await call_next(request)
            response.headers["x-dispatch"] = "1"
            return response

    app = Velithon(
        middleware=[Middleware(Guide), Middleware(Asgi, "one"), Middleware(Dispatch), Middleware(Asgi, "two")]
    )

    @app.middleware("http")
    async def function(request: Request, call_next: Any) -> Any:
        order.append("function")
        return await call_next(request)

    @app.get("/x")
    async def endpoint(request: Request) -> dict[str, Any]:
        return {"path": request.url.path, "agent": request.headers["x-a"]}

    with client(app) as http:
        response = http.get("/x", headers={"x-a": "b"})
    assert response.json() == {"path": "/x", "agent": "b"}
    assert response.headers["x-dispatch"] == "1"
    assert order == ["function", "asgi two", "dispatch", "asgi one", "guide /x b"]


def test_routes_and_routers_have_layers_of_their_own(client: ClientFactory) -> None:
    """A router's layers stand around its routes, a route's inside of these."""
    order: list[str] = []

    class Layer(StarletteBaseHTTPMiddleware):
        def __init__(self, app: Any, name: str) -> None:
            super().__init__(app)
            self.name = name

        async def dispatch(self, request: Any, call_next: Any) -> Any:
            order.append(self.name)
            return await call_next(request)

    router = Router(middleware=[Middleware(Layer, "router")])

    @router.get("/in", middleware=[Middleware(Layer, "route")])
    async def inside() -> str:
        return "in"

    app = Velithon()
    app.include_router(router)

    @app.get("/out")
    async def outside() -> str:
        return "out"

    http = client(app)
    assert http.get("/out").json() == "out"
    assert order == []
    assert http.get("/in").json() == "in"
    assert order == ["router", "route"]


def test_lifespan_state_handlers_and_their_order(client: ClientFactory) -> None:
    """Lifespan, startup and shutdown functions run once, in order of priority; state reaches requests."""
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Velithon) -> AsyncIterator[dict[str, Any]]:
        log.append("enter")
        yield {"number": 7}
        log.append("exit")

    app = Velithon(lifespan=lifespan, on_startup=[lambda: log.append("given")])

    @app.on_event("startup")
    async def event() -> None:
        log.append("event")

    @app.on_startup(priority=10)
    def first() -> None:
        log.append("first")

    @app.on_shutdown()
    async def last() -> None:
        log.append("last")

    router = Router(on_startup=[lambda: log.append("router")])
    app.include_router(router)
    sub = Velithon(on_startup=[lambda: log.append("mounted")])
    app.mount("/sub", sub)

    @app.get("/")
    async def endpoint(request: Request) -> int:
        request.state.mine = 1
        number: int = request.state.number
        return number

    with client(app) as http:
        assert http.get("/").json() == 7
        assert http.get("/").json() == 7
        assert log == ["enter", "first", "given", "event", "router", "mounted"]
    assert log[6:] == ["last", "exit"]


def test_a_startup_that_fails_stops_the_application(client: ClientFactory) -> None:
    """What a startup function raises reaches whoever starts the application."""
    app = Velithon()

    @app.on_startup()
    def fail() -> None:
        raise RuntimeError("no database")

    with pytest.raises(RuntimeError, match="no database"), client(app):
        pass


def test_background_tasks_run_after_the_response(client: ClientFactory) -> None:
    """A task attached to a response runs once the response is on its way."""
    app = Velithon()
    ran = []

    async def task(value: int) -> None:
        await asyncio.sleep(0)
        ran.append(value)

    @app.get("/")
    async def endpoint() -> JSONResponse:
        return JSONResponse({}, background=BackgroundTask(task, 1))

    with client(app) as http:
        assert http.get("/").json() == {}
    assert ran == [1]


def test_the_cookie_header_is_read_by_its_name(client: ClientFactory) -> None:
    """By `get`, by its key in any case, and by a `Header()` parameter; where there is none, by its default."""
    app = Velithon()

    @app.get("/")
    async def endpoint(request: Request, cookie: Annotated[str | None, Header()] = None) -> list[Any]:
        headers = request.headers
        return ["cookie" in headers, headers.get("Cookie", "-"), headers["COOKIE"] if cookie else None, cookie]

    browser = client(app)
    assert browser.get("/", headers={"cookie": "a=1; b=2"}).json() == [True, "a=1; b=2", "a=1; b=2", "a=1; b=2"]
    assert browser.get("/").json() == [False, "-", None, None]


def test_requests_read_the_same_on_both_faces(client: ClientFactory) -> None:
    """Query, headers, cookies, client, body and URL, without and with the ASGI dictionary."""
    app = Velithon()

    @app.post("/{name}")
    async def endpoint(request: Request) -> dict[str, Any]:
        before = {
            "query": request.query_params.multi_items(),
            "header": request.headers["X-One"],
            "headers": request.headers.getlist("x-one"),
            "cookies": request.cookies,
            "client": request.client.host if request.client else None,
            "params": request.path_params,
            "method": request.method,
            "body": (await request.body()).decode(),
            "has": "x-none" in request.headers,
        }
        request.state.value = 1
        scope = request.scope
        after = {
            "query": scope["query_string"].decode(),
            "params": scope["path_params"],
            "state": scope["state"]["value"],
            "url": str(request.url),
            "route": scope["route"].path,
        }
        return {**before, "scope": after}

    response = client(app, cookies={"c": "d"}).post(
        "/é?a=1&a=2&b=%20", content=b"text", headers=[("x-one", "1"), ("x-one", "2")]
    )
    assert response.json() == {
        "query": [["a", "1"], ["a", "2"], ["b", " "]],
        "header": "1",
        "headers": ["1", "2"],
        "cookies": {"c": "d"},
        "client": "testclient",
        "params": {"name": "é"},
        "method": "POST",
        "body": "text",
        "has": False,
        "scope": {
            "query": "a=1&a=2&b=%20",
            "params": {"name": "é"},
            "state": 1,
            "url": "http://testserver/é?a=1&a=2&b=%20",
            "route": "/{name}",
        },
    }


@pytest.mark.parametrize("announced", [True, False])
def test_bodies_over_the_limit_are_refused(client: ClientFactory, announced: bool) -> None:
    """`max_body_size` of the application, the router and the route; whatever Content-Length claims."""
    app = Velithon(max_body_size=10)

    async def endpoint(request: Request) -> int:
        return len(await request.body())

    app.post("/app")(endpoint)
    app.post("/route", max_body_size=20)(endpoint)
    router = Router(max_body_size=5)
    router.post("/router")(endpoint)
    app.include_router(router)

    def send(path: str, size: int) -> int:
        body: Any = b"x" * size if announced else iter([b"x" * size])
        return int(client(app).post(path, content=body).status_code)

    assert [send("/app", 10), send("/app", 11)] == [200, 413]
    assert [send("/route", 20), send("/route", 21)] == [200, 413]
    assert [send("/router", 5), send("/router", 6)] == [200, 413]


def test_websockets_echo_and_are_refused(client: ClientFactory) -> None:
    """Text, bytes and JSON; a path nobody serves is refused."""
    app = Velithon()

    @app.websocket("/ws/{number}")
    async def echo(websocket: WebSocket, number: int) -> None:
        await websocket.accept()
        await websocket.send_json({"number": number})
        await websocket.send_text((await websocket.receive_text()).upper())
        await websocket.send_bytes(await websocket.receive_bytes())
        await websocket.close()

    http = client(app)
    with http.websocket_connect("/ws/4") as websocket:
        assert websocket.receive_json() == {"number": 4}
        websocket.send_text("a")
        assert websocket.receive_text() == "A"
        websocket.send_bytes(b"\x00")
        assert websocket.receive_bytes() == b"\x00"
    with pytest.raises(Exception), http.websocket_connect("/none"):  # noqa: B017, PT011 - the class differs by protocol
        pass


def test_misuse_is_told_at_registration() -> None:
    """Unknown options, paths without a slash and malformed prefixes raise, and say what would be right."""
    app = Velithon()

    async def endpoint() -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="unknown options: bogus"):
        app.get("/", bogus=1)(endpoint)  # type: ignore[call-arg]
    with pytest.raises(RegistrationError, match="starts with '/'"):
        app.get("x")(endpoint)
    with pytest.raises(RegistrationError, match="prefix starts with '/'"):
        Router(prefix="x/")
    router = Router()
    router.add_existing(StarletteRoute("/", endpoint))
    router.routes[0].path = ""  # type: ignore[attr-defined]
    with pytest.raises(RegistrationError, match="both be empty"):
        app.include_router(router)
    with pytest.raises(ValueError, match="'http'"):
        app.middleware("websocket")
    with pytest.raises(ValueError, match="'startup' and 'shutdown'"):
        app.on_event("start")
    with pytest.raises(RegistrationError, match="cannot include itself"):
        app.include_router(app.router)
    outer, inner = Router(prefix="/outer"), Router(prefix="/inner")
    outer.include_router(inner)
    with pytest.raises(RegistrationError, match="nor one that includes it"):
        inner.include_router(outer)


def test_layers_cannot_be_added_after_the_start() -> None:
    """An application that has answered has its layers for good."""
    app = Velithon()
    TestClient(app).get("/")
    with pytest.raises(RuntimeError, match="after an application has started"):
        app.add_middleware(StarletteBaseHTTPMiddleware)
    with pytest.raises(RuntimeError, match="after an application has started"):
        app.add_exception_handler(404, lambda request, exc: None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-a", "one\r\nset-cookie: stolen=1"), ("x-a", "\x00"), ("x-a", "€"), ("x a", "1"), ("", "1"), ("x-é", "1")],
)
def test_headers_that_http_cannot_carry_are_refused(name: str, value: str) -> None:
    """A response cannot be split by a value, and no header is left out without a word."""
    with pytest.raises(ValueError, match="header"):
        Response("x", headers={name: value})
    with pytest.raises(ValueError, match="header"):
        Response("x").headers[name] = value
    with pytest.raises(ValueError, match="header"):
        Response("x").headers.append(name, value)


def test_json_says_no_to_what_json_cannot_say(client: ClientFactory) -> None:
    """A number that is none is an error, as in FastAPI; `ORJSONResponse` makes it null."""
    assert ORJSONResponse({"a": float("nan")}).body == b'{"a":null}'
    assert JSONResponse({"a": None, 1: 2**70}).body == b'{"a":null,"1":1180591620717411303424}'
    with pytest.raises(ValueError, match="JSON"):
        JSONResponse({"a": float("nan")})


def test_the_size_of_the_thread_pool_is_a_setting(client: ClientFactory) -> None:
    """`thread_pool_size` bounds sync endpoints; without it AnyIO's limiter does, as FastAPI's users know it."""
    import anyio.to_thread

    from velithon.concurrency import current_thread_pool

    @asynccontextmanager
    async def lifespan(app: Velithon) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 3
        yield

    async def size() -> float:
        return current_thread_pool()._calls.here().size

    own = Velithon(thread_pool_size=2, lifespan=lifespan)
    own.get("/")(size)
    shared = Velithon(lifespan=lifespan)
    shared.get("/")(size)
    with client(own) as http:
        assert http.get("/").json() == 2
    with client(shared) as http:
        assert http.get("/").json() == 3


def test_a_lifespan_may_be_a_generator(client: ClientFactory) -> None:
    """Without a warning: FastAPI takes them as they are, sync ones too."""
    log: list[str] = []

    async def slow(app: Velithon) -> AsyncIterator[dict[str, Any]]:
        log.append("slow")
        yield {"slow": 1}
        log.append("slow ends")

    def quick(app: Velithon) -> Iterator[dict[str, Any]]:
        log.append("quick")
        yield {"quick": 2}
        log.append("quick ends")

    generators: list[Any] = [slow, quick]
    app = Velithon(lifespan=generators[0])
    app.include_router(Router(lifespan=generators[1]))

    @app.get("/")
    def state(request: Request) -> list[int]:
        return [request.state.slow, request.state.quick]

    with client(app) as c:
        assert c.get("/").json() == [1, 2]
        assert c.app_state == {"slow": 1, "quick": 2}
    assert log == ["slow", "quick", "quick ends", "slow ends"]
