"""Endpoints that take nothing, or little, are answered without a request on RSGI: nobody sees a difference."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from starlette.responses import Response as StarletteResponse

from tests.adapters.memory import Headers, Protocol, Scope
from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from velithon import APIRouter, Depends, Velithon
from velithon.exceptions import HTTPException, ResponseValidationError
from velithon.requests import ClientDisconnect, Request
from velithon.responses import FileResponse, JSONResponse
from velithon.routing import APIRoute
from velithon_adapters.rsgi import ProtocolClosed

PATHS = ["/nothing", "/little/a", "/not-json"]


def wrong_results() -> Velithon:
    app = Velithon()

    @app.get("/nothing")
    async def nothing() -> int:
        return "x"  # type: ignore[return-value]

    @app.get("/little/{x}")
    async def little(x: str) -> int:
        return x  # type: ignore[return-value]

    @app.get("/not-json")
    async def not_json():  # type: ignore[no-untyped-def] # an annotation would be a response model
        return {"a": float("nan")}

    return app


@pytest.mark.parametrize("path", PATHS)
def test_a_result_that_is_no_response_is_answered_500(client: ClientFactory, path: str) -> None:
    with client(wrong_results(), raise_server_exceptions=False) as c:
        for _ in range(2):
            response = c.get(path)
            assert (response.status_code, response.text) == (500, "Internal Server Error")


def test_the_server_raises_what_was_wrong_with_the_result(client: ClientFactory) -> None:
    with client(wrong_results()) as c:
        for _ in range(2):
            with pytest.raises(ResponseValidationError, match="GET /nothing"):
                c.get("/nothing")
            with pytest.raises(ValueError, match="JSON"):
                c.get("/not-json")


@pytest.mark.parametrize("server", SERVERS)
def test_servers_answer_wrong_results_500(server: ServerName) -> None:
    with serve(f"{__name__}:wrong", server) as running:
        for path in PATHS:
            assert httpx.get(running.url + path).status_code == 500


wrong = wrong_results()


def test_the_handlers_of_users_see_the_request(client: ClientFactory) -> None:
    app = wrong_results()

    @app.exception_handler(500)
    async def handle(request: Request, exc: Exception) -> JSONResponse:
        return JSONResponse([request.url.path, request.path_params, request.scope["route"].path], 500)

    with client(app, raise_server_exceptions=False) as c:
        for _ in range(2):  # an endpoint's first request is served another way
            assert c.get("/little/a").json() == ["/little/a", {"x": "a"}, "/little/{x}"]
            assert c.get("/nothing").json() == ["/nothing", {}, "/nothing"]


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["json", "file"])
async def test_what_fails_behind_a_response_is_not_answered(kind: str) -> None:
    """The client has its answer, and a server would ignore or refuse another one."""
    app = Velithon()

    async def failing() -> AsyncIterator[None]:
        yield
        raise LookupError("behind the response")

    @app.get("/", dependencies=[Depends(failing)])
    async def response() -> StarletteResponse:
        return FileResponse(__file__) if kind == "file" else JSONResponse({})

    scope: Any = Scope()
    protocol = Protocol().end()
    with pytest.raises(LookupError, match="behind the response"):
        await app.__rsgi__(scope, protocol)
    assert [call[1] for call in protocol.calls] == [200]


def test_what_a_layer_returns_instead_of_a_response_is_answered_500(client: ClientFactory) -> None:
    app = wrong_results()

    @app.middleware("http")
    async def wrong_layer(request: Request, call_next: Any) -> Any:
        return "no response"

    response = client(app, raise_server_exceptions=False).get("/nothing")
    assert (response.status_code, response.text) == (500, "Internal Server Error")


class Marked(APIRoute):
    """A route class whose handler is written with `functools.wraps`, which copies what it knows of the plan."""

    def get_route_handler(self) -> Callable[[Any], Awaitable[Any]]:
        handler = super().get_route_handler()

        @functools.wraps(handler)
        async def marked(request: Request) -> StarletteResponse:
            response: StarletteResponse = await handler(request)
            response.headers["x-marked"] = "yes"
            return response

        return marked


def test_the_handler_of_a_route_class_runs(client: ClientFactory) -> None:
    router = APIRouter(route_class=Marked)

    @router.get("/nothing")
    async def nothing() -> int:
        return 1

    @router.get("/little/{x}")
    async def little(x: str, q: int = 1) -> list[Any]:
        return [x, q]

    app = Velithon()
    app.include_router(router)
    for path in ("/nothing", "/nothing", "/little/a?q=2", "/little/a"):
        response = client(app).get(path)
        assert (response.status_code, response.headers.get("x-marked")) == (200, "yes")


class Item(BaseModel):
    name: str


@pytest.mark.anyio
async def test_handlers_are_told_that_the_client_left_within_the_body() -> None:
    app = Velithon()
    seen: list[Any] = []

    @app.post("/item")
    async def item(item: Item) -> Item:
        return item

    @app.exception_handler(HTTPException)
    async def handle(request: Request, exc: HTTPException) -> JSONResponse:
        seen.append((exc.status_code, type(exc.__cause__), await request.is_disconnected()))
        return JSONResponse({}, exc.status_code)

    headers = Headers([("content-type", "application/json"), ("content-length", "100")])
    scope: Any = Scope(method="POST", path="/item", headers=headers)
    protocol: Any = Protocol(b"part", ProtocolClosed())
    await app.__rsgi__(scope, protocol)
    assert seen == [(400, ClientDisconnect, True)]
