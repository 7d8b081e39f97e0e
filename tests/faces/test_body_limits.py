"""`max_body_size` holds for whoever reads the body, and however the client sends it."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse as StarletteResponse
from starlette.routing import Route as StarletteRoute

from tests.conftest import ClientFactory
from velithon import Velithon
from velithon.requests import Request
from velithon.routing import Router

LIMIT = 100


async def foreign(request: StarletteRequest) -> StarletteResponse:
    return StarletteResponse(len(await request.body()))


class Application:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await (await foreign(StarletteRequest(scope, receive)))(scope, receive, send)


class Reads:
    """An ASGI layer that stands in the way, so that layers run as ASGI."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def application() -> Velithon:
    app = Velithon(max_body_size=LIMIT)

    @app.post("/received")
    async def received(request: Request) -> int:
        size = 0
        while True:
            message = await request.receive()
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                return size

    @app.post("/anew")
    async def anew(request: Request) -> int:
        return len(await StarletteRequest(request.scope, request.receive).body())

    @app.post("/more", max_body_size=10 * LIMIT)
    async def more(request: Request) -> int:
        return len(await request.body())

    inner, mounted = Router(), Velithon()

    @inner.post("/")
    @mounted.post("/")
    async def root(request: Request) -> int:
        return len(await request.body())

    @inner.post("/more", max_body_size=10 * LIMIT)
    async def inner_more(request: Request) -> int:
        return len(await request.body())

    app.add_route("/application", Application(), methods=["POST"])
    app.mount("/starlette", Starlette(routes=[StarletteRoute("/", foreign, methods=["POST"])]))
    app.mount("/velithon", mounted)
    app.mount("/router", inner)
    app.routes.append(StarletteRoute("/route", foreign, methods=["POST"]))
    return app


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(0, size, 50):
        yield b"x" * 50


PATHS = ["/received", "/anew", "/application", "/starlette/", "/velithon/", "/router/", "/route"]


@pytest.mark.parametrize("layered", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_the_limit_holds(client: ClientFactory, path: str, layered: bool) -> None:
    app = application()
    if layered:
        app.add_middleware(Reads)
    with client(app) as c:
        assert c.post(path, content=b"x" * LIMIT).json() == LIMIT
        assert c.post(path, content=chunks(LIMIT)).json() == LIMIT
        assert c.post(path, content=b"x" * (LIMIT + 1)).status_code == 413
        assert c.post(path, content=chunks(LIMIT + 50)).status_code == 413


@pytest.mark.parametrize("path", ["/more", "/router/more"])
def test_a_route_may_take_more(client: ClientFactory, path: str) -> None:
    with client(application()) as c:
        assert c.post(path, content=b"x" * 500).json() == 500
        assert c.post(path, content=chunks(500)).json() == 500
        assert c.post(path, content=chunks(1050)).status_code == 413


def test_a_body_that_a_layer_read(client: ClientFactory) -> None:
    app = application()

    @app.middleware("http")
    async def read(request: Request, call_next: Any) -> Any:
        await request.body()
        return await call_next(request)

    with client(app) as c:
        assert c.post("/more", content=chunks(500)).json() == 500
        assert c.post("/more", content=chunks(1050)).status_code == 413
        assert c.post("/starlette/", content=chunks(150)).status_code == 413
