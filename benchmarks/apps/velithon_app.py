"""Velithon, as its guide writes applications."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from benchmarks.apps import common, services
from benchmarks.apps.models import Fields, Item
from benchmarks.apps.structs import Item as ItemStruct
from velithon import Cookie, Depends, Form, Request, UploadFile, Velithon, WebSocket, WebSocketDisconnect
from velithon.di import FactoryProvider, Provide, ServiceContainer, SingletonProvider, inject
from velithon.logging import Console, TextFormatter
from velithon.middleware.cors import CORSMiddleware
from velithon.middleware.gzip import GZipMiddleware
from velithon.middleware.logging import LoggingMiddleware
from velithon.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from velithon.sse import EventSourceResponse, ServerSentEvent
from velithon.staticfiles import StaticFiles

FILE = str(common.file())


class Container(ServiceContainer):
    """The services."""

    settings = SingletonProvider(common.Settings)
    repository = FactoryProvider(common.Repository, settings=settings)
    service = FactoryProvider(common.Service, repository=repository)


container = Container()


async def settings() -> dict[str, str]:
    return {"dsn": "memory"}


async def session(given: Annotated[dict[str, str], Depends(settings)]) -> AsyncIterator[dict[str, str]]:
    yield {"session": given["dsn"]}


async def user(token: str, opened: Annotated[dict[str, str], Depends(session)]) -> dict[str, str]:
    return {"user": token, **opened}


async def json() -> JSONResponse:
    return JSONResponse(common.HELLO)


async def dictionary() -> Any:
    return common.HELLO


async def items(item_id: int, q: str, n: int = 1) -> Any:
    return {"item_id": item_id, "q": q, "n": n}


async def model(item: Item) -> Item:
    return item


async def deps(known: Annotated[dict[str, str], Depends(user)]) -> Any:
    return known


@inject
async def singleton(given: common.Settings = Provide[container.settings]) -> Any:
    return {"factor": given.factor}


@inject
async def chain(service: common.Service = Provide[container.service]) -> Any:
    return {"total": service.total(2)}


def sync() -> Any:
    return common.HELLO


async def text() -> PlainTextResponse:
    return PlainTextResponse(common.TEXT)


async def file() -> FileResponse:
    return FileResponse(FILE)


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(common.CHUNKS):
        yield common.CHUNK


async def stream() -> StreamingResponse:
    return StreamingResponse(chunks(), media_type="text/plain")


async def upload(file: UploadFile) -> Any:
    return {"size": len(await file.read())}


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


database = services.Database()


async def plaintext() -> PlainTextResponse:
    return PlainTextResponse(services.PLAINTEXT)


async def one_query() -> Any:
    return await database.one()


async def many_queries(n: int) -> Any:
    return await database.many(n)


async def updates(n: int) -> Any:
    return await database.updates(n)


async def fortunes() -> HTMLResponse:
    return HTMLResponse(await database.fortunes())


async def orm() -> Any:
    return await database.orm()


async def cookies(p0: Annotated[str, Cookie()], p9: Annotated[str, Cookie()]) -> Any:
    return {"p0": p0, "p9": p9}


async def form(fields: Annotated[Fields, Form()]) -> Any:
    return {"f0": fields.f0, "f19": fields.f19}


async def large(rows: list[Item]) -> list[Item]:
    return rows


async def struct(item: ItemStruct) -> ItemStruct:
    return item


subscribers = common.Subscribers()


async def events() -> AsyncIterator[ServerSentEvent]:
    with subscribers.subscribed() as queue:
        yield ServerSentEvent(raw_data="ready")
        while True:
            yield ServerSentEvent(raw_data=await queue.get())


async def publish() -> Any:
    return subscribers.publish()


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


def numbered(number: int) -> Callable[..., Awaitable[Any]]:
    async def answer(item_id: int) -> Any:
        return {"route": number, "item_id": item_id}

    return answer


async def add_header(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    response.headers[common.LAYER_HEADER[0]] = common.LAYER_HEADER[1]
    return response


def access_lines() -> None:
    """Write access lines as `configure_logging` sets it up, to nowhere."""
    logger = common.access_logger("velithon.access")
    handler = Console(logger.handlers[0].stream)  # type: ignore[attr-defined]  # a `StreamHandler` of our own
    handler.setFormatter(TextFormatter())
    logger.handlers[:] = [handler]


def make(setup: str) -> Velithon:
    """Return the application for a setup."""
    app = Velithon(tune_gc=os.environ.get("BENCH_TUNE_GC") != "0")
    app.register_container(container)
    for number, path in enumerate(common.route_paths(setup)):
        app.get(path, name=f"route{number}")(numbered(number))
    app.get("/json")(json)
    app.get("/dict")(dictionary)
    app.get("/items/{item_id}")(items)
    app.post("/model")(model)
    app.get("/deps")(deps)
    app.get("/singleton")(singleton)
    app.get("/container")(chain)
    app.get("/sync")(sync)
    app.get("/text")(text)
    app.get("/file")(file)
    app.get("/stream")(stream)
    app.post("/upload")(upload)
    app.get("/plaintext")(plaintext)
    app.get("/db")(one_query)
    app.get("/queries")(many_queries)
    app.get("/updates")(updates)
    app.get("/fortunes")(fortunes)
    app.get("/orm")(orm)
    app.get("/cookies")(cookies)
    app.post("/form")(form)
    app.post("/large")(large)
    app.post("/struct")(struct)
    app.get("/events", response_class=EventSourceResponse)(events)
    app.get("/publish")(publish)
    app.mount("/static", StaticFiles(directory=common.file().parent))
    app.websocket("/ws")(echo)
    app.websocket("/room")(broadcast)
    if setup in ("cors", "layers"):
        app.middleware("http")(add_header)
        app.add_middleware(CORSMiddleware, allow_origins=[common.ORIGIN])
    if setup == "gzip":
        app.add_middleware(GZipMiddleware)
    if setup == "layers":
        access_lines()
        app.add_middleware(LoggingMiddleware)
    return app


app = make(common.SETUP)
