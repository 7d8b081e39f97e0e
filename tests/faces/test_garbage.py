"""What a request leaves behind: nothing that only the garbage collector would find, and so no pauses under load."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import pytest

from tests.adapters.memory import Headers, Protocol, Scope
from velithon import Depends, Request, Response, Velithon
from velithon.exceptions import HTTPException
from velithon.middleware.cors import CORSMiddleware
from velithon.responses import JSONResponse

# One cycle in each of these is more than what other tests' threads may leave meanwhile.
TURNS = 500


async def opened() -> AsyncIterator[int]:
    yield 1


def make() -> Velithon:
    app = Velithon()

    @app.get("/plain")
    async def plain() -> dict[str, int]:
        return {"a": 1}

    @app.get("/headers")
    async def headers() -> JSONResponse:
        response = JSONResponse({})
        response.headers["x-a"] = "1"
        response.set_cookie("a", "b")
        return response

    @app.get("/injected")
    async def injected(response: Response) -> None:
        response.headers["x-a"] = "1"

    @app.get("/raises/{x}")
    async def raises(x: str, request: Request) -> None:
        raise HTTPException(404, x, headers={"x-a": request.url.path})

    @app.get("/exits")
    async def exits(one: Annotated[int, Depends(opened)]) -> int:
        return one

    @app.get("/exits-raising")
    async def exits_raising(one: Annotated[int, Depends(opened)]) -> None:
        raise HTTPException(400)

    @app.get("/wrong")
    async def wrong(limit: int) -> None: ...

    @app.get("/handled")
    async def handled() -> None:
        raise LookupError

    @app.exception_handler(LookupError)
    async def handle(request: Request, exc: LookupError) -> JSONResponse:
        return JSONResponse(str(request.url), 418)

    @app.get("/request")
    async def reads(request: Request) -> list[Any]:
        request.state.x = 1
        return [request.headers.get("host"), dict(request.query_params), request.cookies, request.scope["path"]]

    return app


def layered() -> Velithon:
    app = make()
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.example"])

    @app.middleware("http")
    async def mark(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers["x-layer"] = "1"
        return response

    return app


async def over_rsgi(app: Velithon, path: str) -> None:
    headers = Headers([("host", "a.example"), ("origin", "https://a.example")])
    await app.__rsgi__(Scope(path=path, headers=headers), Protocol())  # type: ignore[arg-type]


async def over_asgi(app: Velithon, path: str) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None: ...

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"a.example"), (b"origin", b"https://a.example")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await app(scope, receive, send)


@pytest.mark.parametrize("make_app", [make, layered])
@pytest.mark.parametrize("ask", [over_rsgi, over_asgi])
@pytest.mark.parametrize(
    "path",
    [
        "/plain", "/headers", "/injected", "/raises/a", "/exits", "/exits-raising", "/wrong", "/handled", "/request",
        "/nowhere", "/plain/",
    ],
)  # fmt: skip
def test_a_request_leaves_no_cycles(make_app: Any, ask: Any, path: str) -> None:
    app = make_app()

    async def found() -> int:
        for _ in range(3):  # the first request of a route makes its plan
            await ask(app, path)
        gc.collect()
        gc.disable()
        try:
            for _ in range(TURNS):
                await ask(app, path)
            return gc.collect()
        finally:
            gc.enable()

    assert asyncio.run(found()) < TURNS
