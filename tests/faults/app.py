"""One application with something of everything, which the instruments send their requests to."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel

from velithon import Request, Response, UploadFile, Velithon, WebSocket
from velithon.exceptions import HTTPException
from velithon.middleware import Middleware
from velithon.middleware.cors import CORSMiddleware
from velithon.middleware.gzip import GZipMiddleware
from velithon.params import Body, Cookie, File, Form, Header, Query
from velithon.responses import (
    EventSourceResponse,
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from velithon.staticfiles import StaticFiles

FILES = Path(__file__).with_name("files")


@asynccontextmanager
async def lifespan(app: Velithon) -> AsyncIterator[dict[str, int]]:
    yield {"answer": 42}


app = Velithon(
    lifespan=lifespan,
    middleware=[
        Middleware(GZipMiddleware, minimum_size=500),
        Middleware(CORSMiddleware, allow_origins=["https://good.example"], allow_methods=["GET", "PUT"]),
    ],
)


class Item(BaseModel):
    """A body with a number, a list and a nested object."""

    name: str
    price: float = 0
    tags: list[str] = []
    parent: Item | None = None


class Search(BaseModel):
    """A whole query in one parameter."""

    q: str = ""
    limit: int = 10
    tag: list[str] = []


async def describe(request: Request) -> dict[str, Any]:
    """Return everything that a request says, as the application sees it."""
    # What is the connection's and not the request's differs with the server: see docs/protocols.md.
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        if name not in ("connection", "transfer-encoding", "te", "upgrade"):
            headers.setdefault(name, []).append(value)
    return {
        "method": request.method,
        "path": request.url.path,
        "query": request.url.query,
        "pairs": request.query_params.multi_items(),
        "headers": dict(sorted(headers.items())),
        "cookies": request.cookies,
        "body": (await request.body()).hex(),
    }


@app.api_route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def echo(request: Request) -> Any:
    return await describe(request)


@app.get("/files/{path:path}")
async def any_path(request: Request, path: str) -> Any:
    return {"path": path, "seen": request.url.path}


@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None, short: bool = False) -> Any:
    return {"id": item_id, "q": q, "short": short}


@app.get("/names/{name}")
def read_name(name: str, x_token: Annotated[list[str] | None, Header()] = None) -> Any:
    return {"name": name, "tokens": x_token}


@app.get("/search")
async def search(search: Annotated[Search, Query()]) -> Any:
    return search


@app.get("/cookies")
async def cookies(a: Annotated[str | None, Cookie()] = None, session: Annotated[str, Cookie()] = "") -> Any:
    return [a, session]


@app.post("/items", status_code=201)
async def create_item(item: Item) -> Item:
    return item


@app.post("/two")
async def two(a: Annotated[int, Body()], b: Annotated[str, Body()] = "") -> Any:
    return [a, b]


@app.post("/any")
async def anything(value: Annotated[Any, Body()]) -> Any:
    return value.hex() if isinstance(value, bytes) else value


@app.post("/form")
async def form(name: Annotated[str, Form()], age: Annotated[int, Form()] = 0) -> Any:
    return {"name": name, "age": age}


@app.post("/raw-form")
async def raw_form(request: Request) -> Any:
    async with request.form() as data:
        return [[name, value if isinstance(value, str) else value.filename] for name, value in data.multi_items()]


@app.post("/upload")
async def upload(files: list[UploadFile], note: Annotated[str, Form()] = "") -> Any:
    return {"files": [[file.filename, file.content_type, file.size] for file in files], "note": note}


@app.post("/bytes")
async def upload_bytes(file: Annotated[bytes, File()]) -> Any:
    return len(file)


@app.post("/limited", max_body_size=1000)
async def limited(request: Request) -> Any:
    return len(await request.body())


@app.post("/read")
async def read_stream(request: Request) -> Any:
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
    return length


@app.post("/ignore")
async def ignore() -> Any:
    return "not read"


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(FILES / "text.txt")


@app.get("/download")
async def download() -> FileResponse:
    return FileResponse(FILES / "text.txt", filename="ä b.txt", headers={"x-kind": "download"})


@app.get("/redirect")
async def redirect(to: str = "/echo") -> RedirectResponse:
    return RedirectResponse(to)


@app.get("/status/{code}")
async def status(code: int) -> Response:
    return Response(status_code=code if 200 <= code < 600 else 400, headers={"x-code": str(code)})


@app.get("/error/{code}")
async def error(code: int) -> None:
    raise HTTPException(code if 400 <= code < 500 else 418, "No.", headers={"x-error": "yes"})


@app.get("/many-headers")
async def many_headers() -> Response:
    response = PlainTextResponse("text")
    response.set_cookie("a", "1", path="/x", httponly=True)
    response.set_cookie("b", 'q"; w')
    response.headers.append("x-many", "1")
    response.headers.append("x-many", "2")
    response.headers["vary"] = "accept"
    return response


@app.get("/html", response_class=HTMLResponse)
async def html() -> str:
    return "<p>text</p>" * 100


@app.get("/state-of-lifespan")
async def state_of_lifespan(request: Request) -> Any:
    return request.state.answer


async def lines() -> AsyncIterator[str]:
    for number in range(5):
        yield f"line {number}\n"
        await asyncio.sleep(0)


@app.get("/lines")
async def stream_lines() -> StreamingResponse:
    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/events")
async def events() -> EventSourceResponse:
    async def few() -> AsyncIterator[Any]:
        for number in range(3):
            yield {"number": number}

    return EventSourceResponse(few())


@app.websocket("/ws/echo")
async def ws_echo(websocket: WebSocket) -> None:
    await websocket.accept()
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await websocket.send_text(message["text"])
        else:
            await websocket.send_bytes(message["bytes"])


app.mount("/static", StaticFiles(directory=FILES))
app.mount("/site", StaticFiles(directory=FILES, html=True))

sub = Velithon(openapi_url=None)


@sub.api_route("/", methods=["GET", "POST"])
@sub.api_route("/deep/{rest:path}", methods=["GET", "POST"])
async def mounted(request: Request, rest: str = "") -> Any:
    return {"rest": rest, "root": request.scope["root_path"], "seen": request.url.path}


app.mount("/sub", sub)


# What the process holds, which must be the same before and after whatever the instruments did.


@app.get("/held")
async def held() -> dict[str, int]:
    temporary = tempfile.gettempdir()
    targets = [_link(name) for name in os.listdir("/proc/self/fd")]
    return {
        "pid": os.getpid(),
        "sockets": sum(target.startswith("socket:") for target in targets),
        "files": sum(target.startswith(temporary) for target in targets),
        "descriptors": len(targets),
        "tasks": len(asyncio.all_tasks()),
        # Those of the pool come and go with what there is to do, and are limited in number.
        "threads": sum(not thread.name.startswith("AnyIO worker") for thread in threading.enumerate()),
    }


def _link(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:  # the one that listed the directory
        return ""
