"""A dispatch layer may send more than what is inside of it sent, whatever form that has."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.middleware import Middleware

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from velithon import Velithon
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests import Request
from velithon.responses import PlainTextResponse, Response, StreamingResponse

PARTS = 20


class Adds(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        chunks = response.body_iterator

        async def more() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                yield chunk
            for _ in range(PARTS):
                yield b"more" * 5000

        response.body_iterator = more()
        del response.headers["content-length"]
        return response


class OverASGI:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class OverRSGI:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, protocol: Any) -> None:
        await self.app(scope, protocol)


def application(inside: Any) -> Velithon:
    app = Velithon(middleware=[Middleware(inside), Middleware(Adds)])

    @app.get("/plain")
    async def plain() -> Response:
        return PlainTextResponse("body")

    @app.get("/stream")
    async def stream() -> Response:
        return StreamingResponse(iter(["bo", "dy"]))

    return app


over_asgi = application(OverASGI)
over_rsgi = application(OverRSGI)
EXPECTED = b"body" + b"more" * 5000 * PARTS


@pytest.mark.parametrize("app", [over_asgi, over_rsgi])
def test_in_memory(client: ClientFactory, app: Velithon) -> None:
    with client(app) as c:
        assert c.get("/plain").content == EXPECTED
        assert c.get("/stream").content == EXPECTED


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("app", ["over_asgi", "over_rsgi"])
def test_on_servers(server: ServerName, app: str) -> None:
    with serve(f"{__name__}:{app}", server) as running, httpx.Client(base_url=running.url) as c:
        for _ in range(5):
            assert c.get("/plain").content == EXPECTED
            assert c.get("/stream").content == EXPECTED
