"""BlackSheep, as its documentation writes applications: handlers bound by annotations, services from its container."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from blacksheep import (
    Application,
    Content,
    FromCookie,
    FromFiles,
    FromJSON,
    FromQuery,
    Request,
    Response,
    WebSocket,
    WebSocketDisconnectError,
    file,
    html,
    json,
    text,
)
from blacksheep.contents import StreamedContent
from blacksheep.server.compression import GzipMiddleware, use_gzip_compression
from blacksheep.server.sse import ServerSentEvent, TextServerSentEvent
from blacksheep.settings.json import json_settings

from benchmarks.apps import common, services
from benchmarks.apps.models import Item

FILE = str(common.file())
logger = common.access_logger()

json_settings.use(loads=orjson.loads, dumps=lambda value: orjson.dumps(value).decode())


@contextlib.asynccontextmanager
async def session(given: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    yield {"session": given["dsn"]}


async def settings() -> dict[str, str]:
    return {"dsn": "memory"}


async def user(token: str, opened: dict[str, str]) -> dict[str, str]:
    return {"user": token, **opened}


async def hello() -> Response:
    return json(common.HELLO)


async def items(item_id: int, q: str, n: int = 1) -> Response:
    return json({"item_id": item_id, "q": q, "n": n})


async def model(data: FromJSON[Item]) -> Response:
    return Response(200, content=Content(b"application/json", data.value.model_dump_json().encode()))


# Its container makes objects and knows no generators: the chain is called by hand.
async def deps(token: FromQuery[str]) -> Response:
    async with session(await settings()) as opened:
        return json(await user(token.value, opened))


async def chain(service: common.Service) -> Response:
    return json({"total": service.total(2)})


def blocking() -> dict[str, str]:
    return common.HELLO


async def sync() -> Response:
    return json(await asyncio.to_thread(blocking))


async def long_text() -> Response:
    return text(common.TEXT)


async def send_file() -> Response:
    return file(FILE, "text/plain")


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(common.CHUNKS):
        yield common.CHUNK


async def stream() -> Response:
    return Response(200, content=StreamedContent(b"text/plain", chunks))


async def upload(files: FromFiles) -> Response:
    sent = files.value[0]
    data: Any = sent.data if isinstance(sent.data, bytes) else sent.file.read()
    return json({"size": len(data)})


database = services.Database()


async def plaintext() -> Response:
    return text(services.PLAINTEXT)


async def one_query() -> Response:
    return json(await database.one())


async def many_queries(n: int) -> Response:
    return json(await database.many(n))


async def updates(n: int) -> Response:
    return json(await database.updates(n))


async def fortunes() -> Response:
    return html(await database.fortunes())


async def orm() -> Response:
    return json(await database.orm())


async def cookies(p0: FromCookie[str], p9: FromCookie[str]) -> Response:
    return json({"p0": p0.value, "p9": p9.value})


async def large(data: FromJSON[list[Item]]) -> Response:
    return json([item.model_dump() for item in data.value])


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnectError:
        pass


subscribers = common.Subscribers()


async def events() -> AsyncIterator[ServerSentEvent]:
    with subscribers.subscribed() as queue:
        yield TextServerSentEvent("ready")
        while True:
            yield TextServerSentEvent(await queue.get())


async def publish() -> Response:
    return json(subscribers.publish())


room: set[WebSocket] = set()


async def broadcast(websocket: WebSocket) -> None:
    await websocket.accept()
    room.add(websocket)
    try:
        while True:
            message = await websocket.receive_text()
            for member in list(room):
                await member.send_text(message)
    except WebSocketDisconnectError:
        pass
    finally:
        room.discard(websocket)


def numbered(number: int) -> Any:
    async def answer(item_id: int) -> Response:
        return json({"route": number, "item_id": item_id})

    return answer


async def add_header(request: Request, handler: Any) -> Response:
    response: Response = await handler(request)
    name, value = common.LAYER_HEADER
    response.headers.set(name.encode(), value.encode())
    return response


async def log(request: Request, handler: Any) -> Response:
    start = time.perf_counter()
    response: Response = await handler(request)
    took = (time.perf_counter() - start) * 1000
    path = request.url.path.decode()
    logger.info('%s "%s %s" %d %.3fms', request.client_ip, request.method, path, response.status, took)
    return response


def make(setup: str) -> Application:
    """Return the application for a setup."""
    app = Application()
    services: Any = app.services
    services.add_singleton(common.Settings)
    services.add_transient(common.Repository)
    services.add_transient(common.Service)
    router: Any = app.router
    for number, path in enumerate(common.route_paths(setup)):
        router.add_get(path, numbered(number))
    router.add_get("/json", hello)
    router.add_get("/items/{item_id}", items)
    router.add_post("/model", model)
    router.add_get("/deps", deps)
    router.add_get("/container", chain)
    router.add_get("/sync", sync)
    router.add_get("/text", long_text)
    router.add_get("/file", send_file)
    router.add_get("/stream", stream)
    router.add_post("/upload", upload)
    router.add_get("/plaintext", plaintext)
    router.add_get("/db", one_query)
    router.add_get("/queries", many_queries)
    router.add_get("/updates", updates)
    router.add_get("/fortunes", fortunes)
    router.add_get("/orm", orm)
    router.add_get("/cookies", cookies)
    router.add_post("/large", large)
    router.add_get("/events", events)
    router.add_get("/publish", publish)
    app.serve_files(common.file().parent, root_path="static")
    router.add_ws("/ws", echo)
    router.add_ws("/room", broadcast)
    if setup == "gzip":
        use_gzip_compression(app, GzipMiddleware(comp_level=9))
    if setup in ("cors", "layers"):
        app.use_cors(allow_methods="GET", allow_origins=common.ORIGIN)
        if setup == "layers":
            app.middlewares.append(log)
        app.middlewares.append(add_header)
    return app


app = make(common.SETUP)
