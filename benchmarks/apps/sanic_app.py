"""Sanic, as its documentation writes applications."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from sanic import HTTPResponse, Request, Sanic, Websocket, json, text
from sanic.response import file as file_response

from benchmarks.apps import common
from benchmarks.apps.models import Item

FILE = str(common.file())
SETTINGS = common.Settings()
logger = common.access_logger()


@contextlib.asynccontextmanager
async def session(given: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    yield {"session": given["dsn"]}


async def settings() -> dict[str, str]:
    return {"dsn": "memory"}


async def user(token: str, opened: dict[str, str]) -> dict[str, str]:
    return {"user": token, **opened}


def blocking() -> dict[str, str]:
    return common.HELLO


async def hello(request: Request) -> HTTPResponse:
    return json(common.HELLO)


async def items(request: Request, item_id: int) -> HTTPResponse:
    return json({"item_id": item_id, "q": request.args.get("q"), "n": int(request.args.get("n", 1))})


async def model(request: Request) -> HTTPResponse:
    item = Item.model_validate_json(request.body)
    return HTTPResponse(item.model_dump_json(), content_type="application/json")


async def deps(request: Request) -> HTTPResponse:
    async with session(await settings()) as opened:
        return json(await user(request.args.get("token"), opened))


async def chain(request: Request, service: common.Service) -> HTTPResponse:
    return json({"total": service.total(2)})


async def sync(request: Request) -> HTTPResponse:
    return json(await asyncio.to_thread(blocking))


async def long_text(request: Request) -> HTTPResponse:
    return text(common.TEXT)


async def send_file(request: Request) -> HTTPResponse:
    return await file_response(FILE)


async def stream(request: Request) -> None:
    response: Any = await request.respond(content_type="text/plain")
    for _ in range(common.CHUNKS):
        await response.send(common.CHUNK)


async def upload(request: Request) -> HTTPResponse:
    sent: Any = request.files
    return json({"size": len(sent.get("file").body)})


async def echo(request: Request, websocket: Websocket) -> None:
    async for message in websocket:
        await websocket.send(message)


room: set[Any] = set()


async def broadcast(request: Request, websocket: Websocket) -> None:
    room.add(websocket)
    try:
        async for message in websocket:
            for member in list(room):
                await member.send(message)
    finally:
        room.discard(websocket)


def numbered(number: int) -> Any:
    async def answer(request: Request, item_id: int) -> HTTPResponse:
        return json({"route": number, "item_id": item_id})

    return answer


def make(setup: str) -> Any:
    """Return the application for a setup."""
    app: Any = Sanic("benchmark")
    app.config.CORS_ORIGINS = common.ORIGIN if setup in ("cors", "layers") else ""
    app.config.CORS = setup in ("cors", "layers")
    app.config.OAS = False
    app.ext.add_dependency(common.Settings, lambda: SETTINGS)
    app.ext.add_dependency(common.Repository, make_repository)
    app.ext.add_dependency(common.Service, make_service)
    for number, path in enumerate(common.route_paths(setup)):
        app.add_route(numbered(number), path.replace("{item_id}", "<item_id:int>"), name=f"route{number}")
    app.add_route(hello, "/json")
    app.add_route(items, "/items/<item_id:int>")
    app.add_route(model, "/model", methods=["POST"])
    app.add_route(deps, "/deps")
    app.add_route(chain, "/container")
    app.add_route(sync, "/sync")
    app.add_route(long_text, "/text")
    app.add_route(send_file, "/file")
    app.add_route(stream, "/stream")
    app.add_route(upload, "/upload", methods=["POST"])
    app.add_websocket_route(echo, "/ws")
    app.add_websocket_route(broadcast, "/room")
    if setup in ("cors", "layers"):
        _layers(app, setup)
    return app


async def make_repository(request: Request, settings: common.Settings) -> common.Repository:
    return common.Repository(settings)


async def make_service(request: Request, repository: common.Repository) -> common.Service:
    return common.Service(repository)


def _layers(app: Any, setup: str) -> None:
    async def begin(request: Request) -> None:
        request.ctx.start = time.perf_counter()

    async def finish(request: Request, response: HTTPResponse) -> None:
        response.headers[common.LAYER_HEADER[0]] = common.LAYER_HEADER[1]
        if setup == "layers":
            took = (time.perf_counter() - request.ctx.start) * 1000
            logger.info('%s "%s %s" %d %.3fms', request.ip, request.method, request.path, response.status, took)

    app.register_middleware(begin, "request")
    app.register_middleware(finish, "response")


app = make(common.SETUP)
