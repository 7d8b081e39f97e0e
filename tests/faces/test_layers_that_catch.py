"""A layer of any form may answer what was raised inside of it, whatever form that has."""

from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse as StarletteResponse

from tests.conftest import ClientFactory
from velithon import Velithon
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.responses import PlainTextResponse, Response, StreamingResponse


class CatchesOverRSGI:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, protocol: Any) -> None:
        try:
            await self.app(scope, protocol)
        except ValueError:
            protocol.response_str(503, [("x-layer", "rsgi")], "caught")


class CatchesOverASGI:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except ValueError:
            await StarletteResponse("caught", 503, {"x-layer": "asgi"})(scope, receive, send)


class Catches(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except ValueError:
            return PlainTextResponse("caught", 503, {"x-layer": "dispatch"})


class ReadsOverRSGI:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, protocol: Any) -> None:
        await protocol()
        await self.app(scope, protocol)


class PassesOverASGI:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Passes(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


def application(*layers: Any) -> Velithon:
    app = Velithon(middleware=[Middleware(layer) for layer in reversed(layers)])

    @app.get("/")
    async def fails() -> None:
        raise ValueError

    @app.get("/late")
    async def late() -> Response:
        async def chunks() -> Any:
            yield b"build_call_next"
            raise ValueError

        return StreamingResponse(chunks())

    return app


@pytest.mark.parametrize("inside", [None, Passes, PassesOverASGI, ReadsOverRSGI, CatchesOverRSGI])
@pytest.mark.parametrize(
    ("outside", "name"), [(CatchesOverRSGI, "rsgi"), (CatchesOverASGI, "asgi"), (Catches, "dispatch")]
)
def test_what_was_raised_is_answered(client: ClientFactory, outside: Any, name: str, inside: Any) -> None:
    app = application(outside, *([] if inside is None else [inside]))
    with client(app) as c:
        response = c.get("/")
        assert (response.status_code, response.text) == (503, "caught")
        assert response.headers["x-layer"] == ("rsgi" if inside is CatchesOverRSGI else name)


def test_a_response_that_began_stands(client: ClientFactory) -> None:
    with client(application(CatchesOverRSGI, Passes), raise_server_exceptions=False) as c:
        response = c.get("/late")
        assert (response.status_code, response.text) == (200, "build_call_next")
