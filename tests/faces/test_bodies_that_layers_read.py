"""A body that a layer has read is there for what is inside, also for another request made of the same scope."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse as StarletteResponse
from starlette.routing import Route as StarletteRoute

from tests.conftest import ClientFactory
from velithon import Velithon
from velithon.requests import Request


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
