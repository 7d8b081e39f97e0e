"""What an endpoint and layers may do with one request on both faces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse as StarletteStreamingResponse

from tests.conftest import ClientFactory
from velithon import Request, Velithon
from velithon.responses import StreamingResponse


class Foreign(BaseHTTPMiddleware):
    """Starlette's layer, unchanged: it watches for the client's leaving while it streams the answer on."""


def test_a_body_read_by_a_layer_stays_readable_behind_foreign_layers(client: ClientFactory) -> None:
    """Whoever asks for more of the request is told when the client leaves, as on an ASGI server."""
    app = Velithon()

    async def through(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app.add_middleware(Foreign, dispatch=through)

    @app.middleware("http")
    async def read(request: Request, call_next: Any) -> Any:
        request.state.size = len(await request.body())
        return await call_next(request)

    @app.post("/")
    async def echo(request: Request, data: dict[str, int]) -> list[Any]:
        return [data, request.state.size, len(await request.body()), await request.is_disconnected()]

    @app.post("/stream")
    async def stream(data: dict[str, int]) -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            yield str(data).encode()

        return StarletteStreamingResponse(chunks())

    with client(app) as caller:
        assert caller.post("/", json={"a": 1}).json() == [{"a": 1}, 7, 7, False]
        assert caller.post("/stream", json={"a": 1}).text == "{'a': 1}"


def test_is_disconnected_after_the_body(client: ClientFactory) -> None:
    """A stream may ask whether its client is still there, whatever was read before."""
    app = Velithon()

    @app.post("/")
    async def watch(request: Request, data: dict[str, int]) -> Any:
        async def chunks() -> AsyncIterator[str]:
            for _ in range(3):
                if await request.is_disconnected():
                    break
                yield str(data["a"])

        return StreamingResponse(chunks())

    @app.post("/form")
    async def form(request: Request) -> list[Any]:
        async with request.form() as fields:
            return [sorted(fields), await request.is_disconnected()]

    @app.post("/stream")
    async def stream(request: Request) -> list[Any]:
        size = sum([len(chunk) async for chunk in request.stream()])
        return [size, await request.is_disconnected()]

    with client(app) as caller:
        assert caller.post("/", json={"a": 1}).text == "111"
        assert caller.post("/form", data={"a": "1"}).json() == [["a"], False]
        assert caller.post("/form", data={"a": "1"}, files={"b": b"x"}).json() == [["a", "b"], False]
        assert caller.post("/stream", content=b"abc").json() == [3, False]


def test_layers_see_which_endpoint_answered(client: ClientFactory) -> None:
    """In the scope, where Starlette and the instruments made for it look."""
    app, part = Velithon(), Velithon()
    seen: list[Any] = []

    class Watch:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            if scope["type"] == "http":
                seen.append((scope.get("endpoint"), getattr(scope.get("route"), "path", None), scope["path_params"]))

    app.add_middleware(Watch)
    part.add_middleware(Watch)

    @app.get("/items/{item}")
    async def read(item: str) -> str:
        return item

    @part.get("/things/{thing}")
    async def inner(thing: str) -> str:
        return thing

    app.mount("/{tenant}/part", part)
    with client(app) as caller:
        assert caller.get("/items/a").json() == "a"
        assert caller.get("/t/part/things/b").json() == "b"
    assert seen[0] == (read, "/items/{item}", {"item": "a"})
    assert seen[1] == (inner, "/things/{thing}", {"tenant": "t", "thing": "b"})
