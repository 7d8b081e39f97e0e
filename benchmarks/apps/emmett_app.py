"""Emmett55, as its documentation writes applications: routed functions, pipes around them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from emmett55 import App, Pipe, current, request, response, websocket
from emmett55.tools import service

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


class AddHeader(Pipe):
    """The function middleware; Emmett55 has no CORS of its own, so this writes its header, too."""

    async def pipe_request(self, next_pipe: Any, **kwargs: Any) -> Any:
        if request.headers.get("origin") == common.ORIGIN:
            response.headers["access-control-allow-origin"] = common.ORIGIN
        answer = await next_pipe(**kwargs)
        response.headers[common.LAYER_HEADER[0]] = common.LAYER_HEADER[1]
        return answer


class Log(Pipe):
    """The access line."""

    async def pipe_request(self, next_pipe: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        answer = await next_pipe(**kwargs)
        took = (time.perf_counter() - start) * 1000
        logger.info('%s "%s %s" %d %.3fms', request.client, request.method, request.path, response.status, took)
        return answer


room: set[Any] = set()


def make(setup: str) -> App:
    """Return the application for a setup."""
    app = App(__name__)
    pipes: list[Any] = [Log()] if setup == "layers" else []
    if setup in ("cors", "layers"):
        pipes.append(AddHeader())
    app.pipeline = pipes
    _plain_routes(app)
    _content_routes(app)
    _websocket_routes(app)
    for number, path in enumerate(common.route_paths(setup)):
        _numbered(app, path.replace("{item_id}", "<int:item_id>"), number)
    return app


def _numbered(app: App, path: str, number: int) -> None:
    @app.route(path, name=f"route{number}", methods="get")
    @service.json
    async def answer(item_id: int) -> Any:
        return {"route": number, "item_id": item_id}


def _plain_routes(app: App) -> None:
    @app.route("/json", methods="get")
    @service.json
    async def json() -> Any:
        return common.HELLO

    @app.route("/items/<int:item_id>", methods="get")
    @service.json
    async def items(item_id: int) -> Any:
        query = request.query_params
        return {"item_id": item_id, "q": query.q, "n": int(query.n or 1)}

    @app.route("/model", methods="post")
    async def model() -> Any:
        item = Item.model_validate(await request.body_params)
        response.headers["content-type"] = "application/json"
        return item.model_dump_json()

    @app.route("/deps", methods="get")
    @service.json
    async def deps() -> Any:
        async with session(await settings()) as opened:
            return await user(request.query_params.token, opened)

    @app.route("/container", methods="get")
    @service.json
    async def chain() -> Any:
        return {"total": common.Service(common.Repository(SETTINGS)).total(2)}

    @app.route("/sync", methods="get")
    @service.json
    async def sync() -> Any:
        return await asyncio.to_thread(blocking)


def _content_routes(app: App) -> None:
    @app.route("/text", methods="get", output="str")
    async def text() -> str:
        response.headers["content-type"] = "text/plain; charset=utf-8"
        return common.TEXT

    @app.route("/file", methods="get")
    async def file() -> Any:
        return response.wrap_file(FILE)

    @app.route("/stream", methods="get")
    async def stream() -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(common.CHUNKS):
                yield common.CHUNK

        response.headers["content-type"] = "text/plain"
        return response.wrap_aiter(chunks())

    @app.route("/upload", methods="post")
    @service.json
    async def upload() -> Any:
        sent = (await request.files).file
        return {"size": len(sent.read())}


def _websocket_routes(app: App) -> None:
    @app.websocket("/ws")
    async def echo() -> None:
        await websocket.accept()
        while True:
            await websocket.send(await websocket.receive())

    @app.websocket("/room")
    async def broadcast() -> None:
        await websocket.accept()
        me = current.websocket  # `websocket` is whichever connection's function asks
        room.add(me)
        try:
            while True:
                message = await websocket.receive()
                for member in list(room):
                    await member.send(message)
        finally:
            room.discard(me)


app = make(common.SETUP)
