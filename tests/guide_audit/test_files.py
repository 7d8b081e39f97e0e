"""Files as they are sent behind layers of every form."""

from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Middleware, Velithon
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests import Request
from velithon.responses import FileResponse, PlainTextResponse, Response


class Passes(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


class Plain:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Guides:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, protocol: Any) -> None:
        await self.app(scope, protocol)


@pytest.mark.parametrize("layers", [[], [Passes], [Plain], [Guides], [Guides, Plain, Passes], [Plain, Passes, Guides]])
@pytest.mark.parametrize("on_route", [False, True])
def test_a_file_that_fails_while_it_is_sent_reaches_its_handler(
    client: ClientFactory, layers: list[Any], on_route: bool
) -> None:
    """Whatever stands around the endpoint: the handlers are inside, as with what an endpoint raises."""
    stack = [Middleware(layer) for layer in layers]
    app = Velithon(middleware=[] if on_route else stack)

    @app.exception_handler(RuntimeError)
    async def missing(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("gone", status_code=410)

    @app.get("/file", middleware=stack if on_route else [])
    async def file() -> Response:
        return FileResponse("/nowhere/at/all")

    answer = client(app, raise_server_exceptions=False).get("/file")
    assert (answer.status_code, answer.text) == (410, "gone")
