"""Litestar, as its documentation writes applications: typed handlers, `Provide`, msgspec structures."""

# Annotations stay live: Litestar evaluates them when handlers are registered.
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, WebSocket, get, post, websocket
from litestar.config.compression import CompressionConfig
from litestar.config.cors import CORSConfig
from litestar.datastructures import UploadFile
from litestar.di import Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import WebSocketDisconnect
from litestar.middleware import ASGIMiddleware
from litestar.params import Body, Parameter
from litestar.response import File, ServerSentEvent, ServerSentEventMessage, Stream
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.apps import common, services

FILE = common.file()
SETTINGS = common.Settings()
logger = common.access_logger()


class Item(msgspec.Struct):
    """Something for sale."""

    name: str
    price: float
    tags: list[str] = []


async def provide_service(repository: common.Repository) -> common.Service:
    return common.Service(repository)


async def provide_repository(settings: common.Settings) -> common.Repository:
    return common.Repository(settings)


async def provide_settings() -> common.Settings:
    return SETTINGS


async def provide_config() -> dict[str, str]:
    return {"dsn": "memory"}


async def provide_session(config: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    yield {"session": config["dsn"]}


async def provide_user(token: str, session: dict[str, str]) -> dict[str, str]:
    return {"user": token, **session}


@get("/json")
async def json() -> dict[str, str]:
    return common.HELLO


@get("/items/{item_id:int}")
async def items(item_id: int, q: str, n: int = 1) -> dict[str, Any]:
    return {"item_id": item_id, "q": q, "n": n}


@post("/model", status_code=200)
async def model(data: Item) -> Item:
    return data


@get(
    "/deps",
    dependencies={
        "config": Provide(provide_config),
        "session": Provide(provide_session),
        "user": Provide(provide_user),
    },
)
async def deps(user: dict[str, str]) -> dict[str, str]:
    return user


@get(
    "/container",
    dependencies={
        "settings": Provide(provide_settings, use_cache=True),
        "repository": Provide(provide_repository),
        "service": Provide(provide_service),
    },
)
async def chain(service: common.Service) -> dict[str, int]:
    return {"total": service.total(2)}


@get("/sync", sync_to_thread=True)
def sync() -> dict[str, str]:
    return common.HELLO


@get("/text", media_type="text/plain")
async def text() -> str:
    return common.TEXT


@get("/file")
async def file() -> File:
    return File(path=FILE, media_type="text/plain", content_disposition_type="inline")


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(common.CHUNKS):
        yield common.CHUNK


@get("/stream")
async def stream() -> Stream:
    return Stream(chunks(), media_type="text/plain")


class UploadForm(msgspec.Struct):
    """The form of the upload."""

    file: UploadFile


@post("/upload", status_code=200, request_max_body_size=None)
async def upload(data: UploadForm = Body(media_type=RequestEncodingType.MULTI_PART)) -> dict[str, int]:
    return {"size": len(await data.file.read())}


database = services.Database()


@get("/plaintext", media_type="text/plain")
async def plaintext() -> str:
    return services.PLAINTEXT


@get("/db")
async def one_query() -> dict[str, int]:
    return await database.one()


@get("/queries")
async def many_queries(n: int) -> list[dict[str, int]]:
    return await database.many(n)


@get("/updates")
async def updates(n: int) -> list[dict[str, int]]:
    return await database.updates(n)


@get("/fortunes", media_type="text/html")
async def fortunes() -> str:
    return await database.fortunes()


@get("/orm")
async def orm() -> dict[str, int]:
    return await database.orm()


@post("/struct", status_code=200)
async def struct(data: Item) -> Item:
    return data


@get("/cookies")
async def cookies(
    p0: Annotated[str, Parameter(cookie="p0")], p9: Annotated[str, Parameter(cookie="p9")]
) -> dict[str, str]:
    return {"p0": p0, "p9": p9}


@post("/large", status_code=200)
async def large(data: list[Item]) -> list[Item]:
    return data


@websocket("/ws")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


subscribers = common.Subscribers()


async def subscription() -> AsyncIterator[ServerSentEventMessage]:
    with subscribers.subscribed() as queue:
        yield ServerSentEventMessage(data="ready")
        while True:
            yield ServerSentEventMessage(data=await queue.get())


@get("/events")
async def events() -> ServerSentEvent:
    return ServerSentEvent(subscription())


@get("/publish")
async def publish() -> dict[str, int]:
    return subscribers.publish()


room: set[WebSocket[Any, Any, Any]] = set()


@websocket("/room")
async def broadcast(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    room.add(socket)
    try:
        while True:
            message = await socket.receive_text()
            for member in list(room):
                await member.send_text(message)
    except WebSocketDisconnect:
        pass
    finally:
        room.discard(socket)


def numbered(path: str, number: int) -> Any:
    @get(path.replace("{item_id}", "{item_id:int}"), name=f"route{number}")
    async def answer(item_id: int) -> dict[str, int]:
        return {"route": number, "item_id": item_id}

    return answer


class AddHeader(ASGIMiddleware):
    """Litestar has no function middleware that sees the response."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                name, value = common.LAYER_HEADER
                message["headers"] = [*message["headers"], (name.encode(), value.encode())]
            await send(message)

        await next_app(scope, receive, sending)


class Log(ASGIMiddleware):
    """The access line."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        start = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await next_app(scope, receive, sending)
        took = (time.perf_counter() - start) * 1000
        request: Request[Any, Any, Any] = Request(scope)
        client = request.client.host if request.client else "-"
        logger.info('%s "%s %s" %d %.3fms', client, request.method, request.url.path, status, took)


def make(setup: str) -> Litestar:
    """Return the application for a setup."""
    scenarios = [json, items, model, deps, chain, sync, text, file, stream, upload, echo, broadcast]
    scenarios += [plaintext, one_query, many_queries, updates, fortunes, orm, struct, cookies, large, events, publish]
    files = create_static_files_router(path="/static", directories=[FILE.parent])
    layered = setup in ("cors", "layers")
    middleware: list[Any] = [Log()] if setup == "layers" else []
    return Litestar(
        [*scenarios, files, *(numbered(path, number) for number, path in enumerate(common.route_paths(setup)))],
        middleware=[*middleware, AddHeader()] if layered else [],
        compression_config=CompressionConfig(backend="gzip", gzip_compress_level=9) if setup == "gzip" else None,
        cors_config=CORSConfig(allow_origins=[common.ORIGIN]) if layered else None,
    )


app = make(common.SETUP)
