"""A body that a layer has read is there for what is inside, also for another request made of the same scope."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse as StarletteResponse
from starlette.routing import Mount as StarletteMount
from starlette.routing import Route as StarletteRoute

from tests.conftest import ClientFactory
from velithon import Velithon
from velithon.requests import Request
from velithon.routing import Route, Router
from velithon.testclient import TestClient


async def foreign(request: StarletteRequest) -> StarletteResponse:
    return StarletteResponse(await request.body())


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("reads", "left"), [("body", "body"), ("stream", "")])
def test_requests_made_anew(client: ClientFactory, reads: str, left: str, layers: int) -> None:
    app = Velithon()

    async def read(request: Request, call_next: Any) -> Any:
        if reads == "body":
            assert await request.body() == b"body"
        elif not request._stream_consumed:
            assert b"".join([chunk async for chunk in request.stream()]) == b"body"
        return await call_next(request)

    for _ in range(layers):
        app.middleware("http")(read)

    @app.post("/anew")
    async def anew(request: Request) -> StarletteResponse:
        return await foreign(StarletteRequest(request.scope, request.receive))

    app.mount("/mounted", Starlette(routes=[StarletteRoute("/", foreign, methods=["POST"])]))
    with client(app) as c:
        for path in ("/anew", "/mounted/"):
            assert c.post(path, content=b"body").text == left


@pytest.mark.parametrize("reads", [True, False])
def test_a_layer_goes_on_with_its_own_request(client: ClientFactory, reads: bool) -> None:
    """`call_next` takes any request for the scope, Starlette's class too, with the body that it has read."""
    app = Velithon()

    @app.middleware("http")
    async def anew(request: Request, call_next: Any) -> Any:
        made = StarletteRequest(request.scope, request.receive)
        if reads:
            assert await made.body() == b"body"
        return await call_next(made)

    @app.post("/")
    async def echo(request: Request) -> StarletteResponse:
        return StarletteResponse(await request.body())

    assert client(app).post("/", content=b"body").text == "body"


@pytest.mark.parametrize("inside", ["Velithon", "Starlette"])
def test_a_handler_around_a_router_reads_the_body_that_the_endpoint_read(client: ClientFactory, inside: str) -> None:
    """It gets the endpoint's request; another one would wait for a body that has been read."""

    async def endpoint(request: StarletteRequest) -> None:
        await request.body()
        raise LookupError

    async def handler(request: Any, exc: Exception) -> StarletteResponse:
        return StarletteResponse(await request.body(), 422)

    router = Router([Route("/", endpoint, methods=["POST"])])
    if inside == "Velithon":
        app = Velithon(exception_handlers={LookupError: handler})
        app.mount("/in", router)
        tested = client(app)
    else:
        tested = TestClient(
            Starlette(exception_handlers={LookupError: handler}, routes=[StarletteMount("/in", app=router)])
        )
    answer = tested.post("/in/", content=b"body")
    assert (answer.status_code, answer.text) == (422, "body")
