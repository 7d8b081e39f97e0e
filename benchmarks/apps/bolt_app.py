"""Django-Bolt, as its documentation writes applications: typed handlers, msgspec structures, its own server."""

# Annotations stay live: Bolt evaluates them when handlers are registered.
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY="benchmark",
        DEBUG=False,
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["django_bolt"],
        BOLT_API=["benchmarks.apps.bolt_app:app"],
        ROOT_URLCONF="benchmarks.apps.bolt_app",
        LOGGING_CONFIG=None,
        DATABASES={},
    )
    import django

    django.setup()

from django_bolt import BoltAPI, WebSocket
from django_bolt.middleware import CompressionConfig
from django_bolt.param_functions import Body, Cookie, Depends
from django_bolt.responses import HTML, EventSourceResponse, FileResponse, PlainText, ServerSentEvent, StreamingResponse

from benchmarks.apps import common, services

urlpatterns: list[Any] = []
FILE = str(common.file())
database = services.Database()
app = BoltAPI(compression=CompressionConfig(backend="gzip", gzip_level=9) if common.SETUP == "gzip" else None)


class Item(msgspec.Struct):
    """Something for sale."""

    name: str
    price: float
    tags: list[str] = []


@app.get("/json")
async def json() -> dict[str, str]:
    return common.HELLO


@app.get("/items/{item_id}")
async def items(item_id: int, q: str, n: int = 1) -> Any:
    return {"item_id": item_id, "q": q, "n": n}


@app.post("/model")
async def model(item: Item) -> Item:
    return item


@app.post("/struct")
async def struct(item: Item) -> Item:
    return item


@app.post("/large")
async def large(rows: Annotated[list[Item], Body()]) -> list[Item]:
    return rows


async def configuration() -> dict[str, str]:
    return {"dsn": "memory"}


@contextlib.asynccontextmanager
async def session(given: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    yield {"session": given["dsn"]}


# Its dependencies are no generators: this one is called by hand.
async def user(token: str, given: Annotated[dict[str, str], Depends(configuration)]) -> dict[str, str]:
    async with session(given) as opened:
        return {"user": token, **opened}


@app.get("/deps")
async def deps(known: Annotated[dict[str, str], Depends(user)]) -> Any:
    return known


@app.get("/sync")
def sync() -> dict[str, str]:
    return common.HELLO


@app.get("/text")
async def text() -> PlainText:
    return PlainText(common.TEXT)


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(FILE)


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(common.CHUNKS):
        yield common.CHUNK


@app.get("/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse(chunks(), media_type="text/plain")


@app.get("/cookies")
async def cookies(p0: Annotated[str, Cookie()], p9: Annotated[str, Cookie()]) -> Any:
    return {"p0": p0, "p9": p9}


@app.get("/plaintext")
async def plaintext() -> PlainText:
    return PlainText(services.PLAINTEXT)


@app.get("/db")
async def one_query() -> Any:
    return await database.one()


@app.get("/queries")
async def many_queries(n: int) -> Any:
    return await database.many(n)


@app.get("/updates")
async def updates(n: int) -> Any:
    return await database.updates(n)


@app.get("/fortunes")
async def fortunes() -> HTML:
    return HTML(await database.fortunes())


@app.get("/orm")
async def orm() -> Any:
    return await database.orm()


subscribers = common.Subscribers()


async def subscription() -> AsyncIterator[ServerSentEvent]:
    with subscribers.subscribed() as queue:
        yield ServerSentEvent(raw_data="ready")
        while True:
            yield ServerSentEvent(raw_data=await queue.get())


@app.get("/events")
async def events() -> EventSourceResponse:
    return EventSourceResponse(subscription())


@app.get("/publish")
async def publish() -> dict[str, int]:
    return subscribers.publish()


@app.websocket("/ws")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(message)


if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    if common.SETUP not in ("plain", "services", "gzip"):
        sys.exit(f"this application has no setup {common.SETUP!r}")
    bind = ["--host", "127.0.0.1", "--port", sys.argv[1]]
    execute_from_command_line(["manage.py", "runbolt", *bind, "--processes", sys.argv[2], "--no-admin"])
