"""`max_body_size` holds for whoever reads the body, and however the client sends it."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse as StarletteResponse
from starlette.routing import Route as StarletteRoute

from tests.conftest import ClientFactory
from velithon import Form, Velithon
from velithon.requests import Request
from velithon.routing import Route, Router

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


def test_what_is_mounted_may_have_a_limit_of_its_own(client: ClientFactory) -> None:
    """The child's limit counts for the child; a mount in a router has that router's."""
    app, child, plain, inner = Velithon(max_body_size=LIMIT), Velithon(max_body_size=500), Velithon(), Router()

    @child.post("/")
    @plain.post("/")
    async def read(request: Request) -> int:
        return len(await request.body())

    inner.mount("/plain", plain)
    app.mount("/child", child)
    app.include_router(inner, prefix="/inner", max_body_size=10)
    with client(app) as c:
        assert c.post("/child/", content=b"x" * 500).json() == 500
        assert c.post("/child/", content=chunks(550)).status_code == 413
        assert c.post("/inner/plain/", content=b"x" * 10).json() == 10
        assert c.post("/inner/plain/", content=b"x" * 11).status_code == 413


def test_a_layer_of_a_mounted_application_that_reads_too_much(client: ClientFactory) -> None:
    """It is the client's mistake, not a failure of the application."""
    app, child = Velithon(max_body_size=LIMIT), Velithon()

    @child.post("/")
    async def root() -> str:
        return "ok"

    @child.middleware("http")
    async def read(request: Request, call_next: Any) -> Any:
        await request.body()
        return await call_next(request)

    app.mount("/child", child)
    with client(app) as c:
        assert c.post("/child/", content=chunks(LIMIT)).json() == "ok"
        assert c.post("/child/", content=chunks(LIMIT + 50)).status_code == 413


@pytest.mark.parametrize("size", [-1, True, 1.5, "5"])
@pytest.mark.parametrize(
    "make",
    [
        lambda size: Velithon(max_body_size=size),
        lambda size: Router(max_body_size=size),
        lambda size: Velithon().include_router(Router(), max_body_size=size),
        lambda size: Velithon().add_api_route("/", foreign, max_body_size=size),
        lambda size: Velithon(form_limits={"max_fields": size}),
        lambda size: Velithon().post("/", form_limits={"max_files": size})(foreign),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(make: Any, size: Any) -> None:
    with pytest.raises(ValueError, match="must be a non-negative integer, not "):
        make(size)


def test_form_limits_reach_routes_and_mounts(client: ClientFactory) -> None:
    """A route that was made before its application, and what is mounted, keep to the application's limits."""

    async def field(text: Annotated[str, Form()]) -> str:
        return text

    limits = {"max_fields": 1}
    child = Velithon(routes=[Route("/", field, methods=["POST"])])
    app = Velithon(routes=[Route("/", field, methods=["POST"])], form_limits=limits)
    app.mount("/child", child)
    limits["max_fields"] = 0
    with client(app) as c:
        for path in ("/", "/child/"):
            assert c.post(path, data={"text": "ok"}).json() == "ok"
            assert c.post(path, data={"text": "ok", "more": "x"}).status_code == 400
