"""Routers by themselves and inside of others: parameters, layers, limits, and what answers where no route does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette import routing as starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from tests.conftest import ClientFactory
from velithon import BackgroundTask, HTTPException, Request, Velithon, WebSocket
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.routing import Host, Mount, Route, Router
from velithon.testclient import TestClient


async def parameters(request: Request) -> dict[str, Any]:
    return dict(request.path_params)


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


async def foreign(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("foreign")(scope, receive, send)


def test_path_parameters_of_mounts_and_hosts_stay(client: ClientFactory) -> None:
    """A router inside adds its own to them, at any depth."""
    inner = Router()
    inner.add_route("/{item}", parameters)
    app = Velithon()
    app.mount("/{tenant}", Router([Mount("/{shop}", inner)]))
    app.host("{subdomain}.example.org", inner)

    assert client(app).get("/acme/north/3").json() == {"tenant": "acme", "shop": "north", "item": "3"}
    answer = client(app).get("/3", headers={"host": "Acme.example.org"})
    assert answer.json() == {"subdomain": "acme", "item": "3"}


def test_a_route_that_matches_in_part_answers_by_itself(client: ClientFactory) -> None:
    """One with a matching rule of its own knows what to say, as on Starlette."""

    class Part(BaseRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return Match.PARTIAL, {"note": "part"}

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse(scope["note"], 410)(scope, receive, send)

    app = Velithon(openapi_url=None)
    app.router.routes.append(Part())
    app.post("/full")(lambda: "full")
    answer = client(app).get("/anything")
    assert (answer.status_code, answer.text) == (410, "part")
    assert client(app).post("/full").json() == "full"


def test_a_router_alone_answers_in_plain_text() -> None:
    """Without an application around nobody handles what it raises; inside one the application does."""
    router = Router([Route("/teapot", endpoint=brew), Route("/", parameters), Mount("/in", Router())])
    with TestClient(router) as alone:
        answers = [alone.get("/none"), alone.post("/"), alone.get("/in/none"), alone.get("/teapot")]
    assert [(answer.status_code, answer.text) for answer in answers] == [
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (404, "Not Found"),
        (418, "short and stout"),
    ]
    assert answers[1].headers["allow"] == "GET, HEAD"
    app = Velithon()
    app.mount("/sub", router)
    assert TestClient(app).get("/sub/none").json() == {"detail": "Not Found"}


def test_background_tasks_of_a_router_alone_run() -> None:
    """No application counts them; they run after the response all the same."""
    done: list[str] = []

    async def later() -> PlainTextResponse:
        return PlainTextResponse("soon", background=BackgroundTask(done.append, "done"))

    assert TestClient(Router([Route("/", later)])).get("/").text == "soon"
    assert done == ["done"]


def brew() -> None:
    raise HTTPException(418, "short and stout")


class Guard(BaseHTTPMiddleware):
    """Lets in who knows the word."""

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        """Answer 401 to everybody else."""
        if request.headers.get("x-word") != "mellon":
            return PlainTextResponse("who?", 401)
        return await call_next(request)

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let nobody in."""
        await WebSocket(scope, receive, send).close(4001)


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


ROUTES: dict[str, Callable[[], BaseRoute]] = {
    "ours": lambda: Route("/x", parameters),
    "Starlette's": lambda: starlette.Route("/x", echo),
    "mount": lambda: Mount("/x", app=foreign),
    "Starlette's mount": lambda: starlette.Mount("/x", app=foreign),
}


@pytest.mark.parametrize("kind", ROUTES)
@pytest.mark.parametrize("way", ["mounted", "included", "alone"])
def test_layers_of_a_router_are_around_what_it_is_given(kind: str, way: str, client: ClientFactory) -> None:
    """Nothing that a router is made with or mounts escapes the layers that it was given."""
    router = Router(routes=[ROUTES[kind]()], middleware=[Middleware(Guard)])
    router.mount("/later", foreign)
    app: Any = Velithon()
    if way == "mounted":
        app.mount("/sub", router)
    elif way == "included":
        app.include_router(router, prefix="/sub")
    else:
        app = Router([Mount("/sub", app=router)])
    tested = TestClient(app) if way == "alone" else client(app)
    for path in ("/sub/x", "/sub/later/y"):
        assert tested.get(path).status_code == 401
        assert tested.get(path, headers={"x-word": "mellon"}).status_code == 200


def test_layers_around_a_host(client: ClientFactory) -> None:
    """A host that a router with layers is given is behind them, and its routes keep their names."""
    inner = Router([Route("/x", parameters, name="x")])
    app = Velithon()
    app.include_router(Router([Host("a.example.org", inner, name="a")], middleware=[Middleware(Guard)]))
    headers = {"host": "a.example.org"}
    assert client(app).get("/x", headers=headers).status_code == 401
    assert client(app).get("/x", headers={**headers, "x-word": "mellon"}).status_code == 200
    assert app.url_path_for("a:x") == "/x"


def test_layers_around_what_include_router_finds(client: ClientFactory) -> None:
    """Those of `include_router` are around mounts too, and around WebSockets."""
    router = Router([starlette.WebSocketRoute("/ws", socket)])
    router.mount("/x", foreign)
    app = Velithon()
    app.include_router(router, middleware=[Middleware(Guard)])
    assert client(app).get("/x/y").status_code == 401


def test_a_layer_that_only_speaks_rsgi_is_refused_around_a_mount() -> None:
    """What is mounted speaks ASGI."""

    class Layer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, protocol: Any) -> None: ...

    layer: Any = Layer
    router = Router(middleware=[Middleware(layer)])
    with pytest.raises(Exception, match=r"The middleware Layer is called with \(scope, protocol\)"):
        router.mount("/x", foreign)


@pytest.mark.parametrize("size", [8, 12])
def test_limits_of_bodies(client: ClientFactory, size: int) -> None:
    """The limit of a mount counts instead of its application's; that of a router, for what it is made with too."""
    app = Velithon(max_body_size=5)
    app.router.routes.append(Mount("/mount", routes=[starlette.Route("/", echo, methods=["POST"])], max_body_size=10))
    limited = Router([starlette.Route("/", echo, methods=["POST"]), Mount("/in", app=reading)], max_body_size=10)
    app.include_router(limited, prefix="/router")
    app.mount("/plain", reading)
    expected = 200 if size <= 10 else 413
    for path in ("/mount/", "/router/", "/router/in/"):
        assert client(app).post(path, content=b"x" * size).status_code == expected, path
    assert client(app).post("/plain/", content=b"x" * size).status_code == 413
    assert TestClient(limited).post("/", content=b"x" * size).status_code == expected


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    await (await echo(Request(scope, receive, send)))(scope, receive, send)


def test_a_host_in_a_router_is_behind_its_prefix(client: ClientFactory) -> None:
    app, router, inner = Velithon(), Router(), Velithon()

    @inner.get("/items/{name}", name="read")
    async def read(name: str) -> str:
        return name

    router.host("{shop}.example.com", inner, name="shop")
    app.include_router(router, prefix="/api")
    with client(app, base_url="http://book.example.com") as c:
        assert c.get("/api/items/a").json() == "a"
        assert c.get("/items/a").status_code == 404
    assert app.url_path_for("shop:read", shop="book", name="a") == "/api/items/a"
