"""Starlette, written by hand: parameters converted and bodies validated in the endpoints."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.apps import common
from benchmarks.apps.models import Item

FILE = str(common.file())
SETTINGS = common.Settings()
logger = common.access_logger()


async def settings() -> dict[str, str]:
    return {"dsn": "memory"}


@contextlib.asynccontextmanager
async def session(given: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    yield {"session": given["dsn"]}


async def user(token: str, opened: dict[str, str]) -> dict[str, str]:
    return {"user": token, **opened}


async def json(request: Request) -> Response:
    return JSONResponse(common.HELLO)


async def items(request: Request) -> Response:
    try:
        item_id = int(request.path_params["item_id"])
        q = request.query_params["q"]
        n = int(request.query_params.get("n", 1))
    except (KeyError, ValueError):
        return Response(status_code=422)
    return JSONResponse({"item_id": item_id, "q": q, "n": n})


async def model(request: Request) -> Response:
    item = Item.model_validate_json(await request.body())
    return Response(item.model_dump_json(), media_type="application/json")


async def deps(request: Request) -> Response:
    async with session(await settings()) as opened:
        return JSONResponse(await user(request.query_params["token"], opened))


async def singleton(request: Request) -> Response:
    return JSONResponse({"factor": SETTINGS.factor})


async def chain(request: Request) -> Response:
    service = common.Service(common.Repository(SETTINGS))
    return JSONResponse({"total": service.total(2)})


def sync(request: Request) -> Response:
    return JSONResponse(common.HELLO)


async def text(request: Request) -> Response:
    return PlainTextResponse(common.TEXT)


async def file(request: Request) -> Response:
    return FileResponse(FILE)


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(common.CHUNKS):
        yield common.CHUNK


async def stream(request: Request) -> Response:
    return StreamingResponse(chunks(), media_type="text/plain")


async def upload(request: Request) -> Response:
    async with request.form() as form:
        sent: Any = form["file"]
        return JSONResponse({"size": len(await sent.read())})


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


room: set[WebSocket] = set()


async def broadcast(websocket: WebSocket) -> None:
    await websocket.accept()
    room.add(websocket)
    try:
        while True:
            message = await websocket.receive_text()
            for member in list(room):
                await member.send_text(message)
    except WebSocketDisconnect:
        pass
    finally:
        room.discard(websocket)


def numbered(number: int) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return JSONResponse({"route": number, "item_id": int(request.path_params["item_id"])})

    return answer


async def add_header(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers[common.LAYER_HEADER[0]] = common.LAYER_HEADER[1]
    return response


async def log(request: Request, call_next: Any) -> Response:
    start = time.perf_counter()
    response: Response = await call_next(request)
    took = (time.perf_counter() - start) * 1000
    client = request.client.host if request.client else "-"
    logger.info('%s "%s %s" %d %.3fms', client, request.method, request.url.path, response.status_code, took)
    return response


def make(setup: str) -> Starlette:
    """Return the application for a setup."""
    routes = [Route(path, numbered(number)) for number, path in enumerate(common.route_paths(setup))]
    layers = []
    if setup == "layers":
        layers.append(Middleware(BaseHTTPMiddleware, dispatch=log))
    if setup in ("cors", "layers"):
        layers.append(Middleware(CORSMiddleware, allow_origins=[common.ORIGIN]))
        layers.append(Middleware(BaseHTTPMiddleware, dispatch=add_header))
    return Starlette(
        middleware=layers,
        routes=[
            *routes,
            Route("/json", json),
            Route("/items/{item_id}", items),
            Route("/model", model, methods=["POST"]),
            Route("/deps", deps),
            Route("/singleton", singleton),
            Route("/container", chain),
            Route("/sync", sync),
            Route("/text", text),
            Route("/file", file),
            Route("/stream", stream),
            Route("/upload", upload, methods=["POST"]),
            WebSocketRoute("/ws", echo),
            WebSocketRoute("/room", broadcast),
        ],
    )


app = make(common.SETUP)
