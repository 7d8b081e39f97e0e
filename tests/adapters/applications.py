"""Applications of other frameworks, behind the adapters, for servers under test."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from velithon_adapters import ASGIAdapter, RSGIAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from velithon_adapters.rsgi import HTTPProtocol, Scope, WebsocketProtocol

MEBIBYTE = 1024 * 1024
CHUNK = bytes(range(256)) * 256  # 64 KiB
FILE = Path(tempfile.gettempdir()) / f"velithon-adapters-{os.getuid()}.bin"

ended: list[str] = []
asked = asyncio.Semaphore(0)


def peak_memory() -> int:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def write_file() -> None:
    """Write the file that the applications send; other test processes may be reading it."""
    with tempfile.NamedTemporaryFile(dir=FILE.parent, delete=False) as file:
        file.write(CHUNK)
    Path(file.name).replace(FILE)


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
    """Give the state something to show, and leave a trace in the server's log at the end."""
    write_file()
    async with asyncio.timeout(None):
        yield {"pool": "open"}
    print("the lifespan ended", flush=True)


async def show(request: Request) -> JSONResponse:
    """Show what arrived."""
    scope = request.scope
    return JSONResponse(
        {
            "method": request.method,
            "url": str(request.url),
            "raw_path": scope["raw_path"].decode(),
            "http_version": scope["http_version"],
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "client": scope["client"],
            "server": scope["server"],
            "state": request.state.pool,
            "cookies": request.cookies,
        }
    )


async def memory(request: Request) -> JSONResponse:
    """Show the process's peak and what was noted."""
    return JSONResponse({"peak": peak_memory(), "ended": ended})


async def big(request: Request) -> StreamingResponse:
    """Stream 50 MiB, each when it is asked for."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            await asked.acquire()
            for _ in range(MEBIBYTE // len(CHUNK)):
                yield CHUNK

    return StreamingResponse(chunks())


async def ask(request: Request) -> Response:
    """Ask for the next mebibyte of `big`."""
    asked.release()
    return Response(status_code=204)


async def endless(request: Request) -> StreamingResponse:
    """Stream until the client leaves."""

    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.01)
        finally:
            ended.append("endless")

    return StreamingResponse(chunks())


async def silent(request: Request) -> StreamingResponse:
    """Start a stream in which nothing comes."""

    async def chunks() -> AsyncIterator[bytes]:
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            ended.append("silent")

    return StreamingResponse(chunks(), media_type="text/event-stream")


async def upload(request: Request) -> JSONResponse:
    """Count a body's bytes."""
    size = chunks = 0
    async for chunk in request.stream():
        size += len(chunk)
        chunks += 1
    return JSONResponse({"size": size, "chunks": chunks})


async def boom(request: Request) -> Response:
    """Raise."""
    raise ValueError("boom on purpose")


async def missing(request: Request) -> Response:
    """Raise an answer."""
    raise HTTPException(404, "nothing here")


async def file(request: Request) -> FileResponse:
    """Send a file."""
    return FileResponse(FILE, filename="data.bin")


async def headers(request: Request) -> Response:
    """Send duplicates in order."""
    response = Response(status_code=204)
    for name, value in (("x-a", "1"), ("set-cookie", "a=1"), ("x-b", "é"), ("set-cookie", "b=2")):
        response.headers.append(name, value)
    return response


async def background(request: Request) -> PlainTextResponse:
    """Note something after the response."""

    async def note() -> None:
        await asyncio.sleep(0.3)
        print("the background task ended", flush=True)

    return PlainTextResponse("early", background=BackgroundTask(note))


async def echo(websocket: WebSocket) -> None:
    """Send everything back."""
    await websocket.accept()
    while (message := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send({**message, "type": "websocket.send"})
    ended.append(f"echo {message['code']}")


async def clock(websocket: WebSocket) -> None:
    """Send and never receive."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text("tick")
            await asyncio.sleep(0.01)
    finally:
        ended.append("clock")


async def refuse(websocket: WebSocket) -> None:
    """Refuse the handshake."""
    await websocket.close(4001)


async def subprotocol(websocket: WebSocket) -> None:
    """Ask for what RSGI cannot carry."""
    await websocket.accept(subprotocol="chat")


async def close(websocket: WebSocket) -> None:
    """Close with a code of the application's."""
    await websocket.accept()
    await websocket.close(4001, "reason")


starlette = RSGIAdapter(
    Starlette(
        lifespan=lifespan,
        routes=[
            Route("/memory", memory),
            Route("/big", big),
            Route("/next", ask, methods=["POST"]),
            Route("/endless", endless),
            Route("/silent", silent),
            Route("/upload", upload, methods=["POST"]),
            Route("/boom", boom),
            Route("/missing", missing),
            Route("/file", file),
            Route("/headers", headers),
            Route("/background", background),
            Route("/{path:path}", show),
            WebSocketRoute("/echo", echo),
            WebSocketRoute("/clock", clock),
            WebSocketRoute("/refuse", refuse),
            WebSocketRoute("/subprotocol", subprotocol),
            WebSocketRoute("/close", close),
        ],
    )
)


@asynccontextmanager
async def failing_lifespan(app: Any) -> AsyncIterator[None]:
    """Fail at startup."""
    raise ValueError("no database")
    yield


failing = RSGIAdapter(Starlette(lifespan=failing_lifespan))


def fastapi() -> Any:
    """Return a FastAPI application on RSGI."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Item(BaseModel):
        name: str
        price: float

    app = FastAPI(lifespan=lifespan)

    async def create(item: Item) -> Item:
        return item

    def read(number: int, q: str = "-") -> dict[str, Any]:
        return {"number": number, "q": q}

    # The annotations are names of this function: FastAPI has to see the classes themselves.
    create.__annotations__ = {"item": Item, "return": Item}
    app.post("/items")(create)
    app.get("/items/{number}")(read)
    return RSGIAdapter(app)


def django() -> Any:
    """Return a Django application on RSGI."""
    from django.conf import settings  # type: ignore[import-untyped]
    from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
    from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse  # type: ignore[import-untyped]
    from django.urls import path  # type: ignore[import-untyped]

    async def stream() -> AsyncIterator[bytes]:
        for part in (b"a", b"b", b"c"):
            yield part

    def sized(request: Any) -> Any:
        return HttpResponse(str(len(request.body)))

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,
        DEBUG=False,
        LOGGING_CONFIG=None,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=(
            path("json", lambda request: JsonResponse({"q": request.GET.get("q"), "host": request.get_host()})),
            path("stream", lambda request: StreamingHttpResponse(stream())),
            path("upload", sized),
            path("file", lambda request: FileResponse(FILE.open("rb"))),
            path("empty", lambda request: HttpResponse(status=204)),
            path("boom", lambda request: 1 / 0),
        ),
        SECRET_KEY="for tests only",
    )
    write_file()
    return RSGIAdapter(get_asgi_application())


class Raw:
    """A hand-written RSGI application, to run on ASGI servers."""

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        write_file()
        loop.run_until_complete(asyncio.sleep(0))
        print("raw is up", flush=True)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        print("raw is down", flush=True)

    async def __rsgi__(self, scope: Scope, protocol: Any) -> None:
        if scope.proto == "ws":
            await self.echo(protocol)
        else:
            await self.answer(scope, protocol)

    async def echo(self, protocol: WebsocketProtocol) -> None:
        transport = await protocol.accept()
        while (message := await transport.receive()).kind:
            if message.kind == 1:
                await transport.send_bytes(message.data)
            else:
                await transport.send_str(message.data)

    async def answer(self, scope: Scope, protocol: HTTPProtocol) -> None:
        if scope.path == "/upload":
            size = 0
            async for chunk in protocol:
                size += len(chunk)
            protocol.response_str(200, [], str(size))
        elif scope.path == "/big":
            transport = protocol.response_stream(200, [])
            for _ in range(50 * MEBIBYTE // len(CHUNK)):
                await transport.send_bytes(CHUNK)
        elif scope.path == "/file":
            protocol.response_file_range(206, [("content-length", "1000")], str(FILE), 1000, 2000)
        elif scope.path == "/boom":
            raise ValueError("boom on purpose")
        elif scope.path == "/memory":
            protocol.response_str(200, [], str(peak_memory()))
        else:
            body = {"path": scope.path, "query": scope.query_string, "headers": scope.headers.items()}
            protocol.response_str(200, [("content-type", "application/json")], json.dumps(body))


raw = ASGIAdapter(Raw())
