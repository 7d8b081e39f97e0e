"""An ASGI layer sees the bytes of files on every server; without one the server sends them itself."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse as StarletteFileResponse
from starlette.routing import Mount, Route

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from velithon import Velithon

APP = """
import pathlib
from typing import Any
from starlette.applications import Starlette
from starlette.responses import FileResponse as StarletteFileResponse
from starlette.routing import Mount, Route
from velithon import Velithon
from velithon.middleware import Middleware
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests import Request
from velithon.responses import FileResponse
from velithon.routing import Router

PATH = pathlib.Path("file.txt").absolute()
PATH.write_bytes(b"abcdefghij" * 20_000)

class Upper:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def upper(message: Any) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": message.get("body", b"").upper()}
            await send(message)
        await self.app(scope, receive, upper)

class Through(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)

class Rsgi:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, protocol: Any) -> None:
        await self.app(scope, protocol)

async def file() -> FileResponse:
    return FileResponse(PATH)

async def foreign(request: Any) -> StarletteFileResponse:
    return StarletteFileResponse(PATH)

def make(*layers: Any) -> Velithon:
    made = Velithon(middleware=[Middleware(layer) for layer in layers])
    made.get("/file")(file)
    made.mount("/mounted", Starlette(routes=[Route("/file", foreign)]))
    return made

app = make()
app.mount("/asgi", make(Upper))
app.mount("/starlette", Starlette(routes=[Route("/file", foreign)], middleware=[Middleware(Upper)]))
app.routes.append(Mount("/mount", routes=[Route("/file", foreign)], middleware=[Middleware(Upper)]))
app.mount("/outside", make(Through, Upper))
app.mount("/inside", make(Upper, Through))
app.mount("/rsgi", make(Upper, Rsgi))
app.mount("/rsgi-outside", make(Rsgi, Upper))
app.get("/route/file", middleware=[Middleware(Upper)])(file)
"""


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Any:
    name: ServerName = request.param
    with serve(APP, name) as running, httpx.Client(base_url=running.url) as c:
        yield c


WHOLE = b"abcdefghij" * 20_000
LAYERED = ["/asgi", "/outside", "/inside", "/rsgi", "/rsgi-outside"]


@pytest.mark.parametrize(
    "path",
    [
        "/route/file",
        "/starlette/file",
        "/mount/file",
        *[f"{name}{end}" for name in LAYERED for end in ("/file", "/mounted/file")],
    ],
)
def test_a_layer_sees_the_bytes_of_files(server: httpx.Client, path: str) -> None:
    response = server.get(path)
    assert (response.status_code, response.headers["content-length"]) == (200, "200000")
    assert response.content == WHOLE.upper()
    response = server.get(path, headers={"range": "bytes=2-5"})
    assert (response.status_code, response.content) == (206, b"CDEF")
    response = server.head(path)
    assert (response.status_code, response.headers["content-length"], response.content) == (200, "200000", b"")


@pytest.mark.parametrize("path", ["/file", "/mounted/file"])
def test_files_without_a_layer(server: httpx.Client, path: str) -> None:
    assert server.get(path).content == WHOLE
    assert server.get(path, headers={"range": "bytes=2-5"}).content == b"cdef"


class Upper:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def upper(message: Any) -> None:
            await send({**message, "body": message["body"].upper()} if "body" in message else message)

        await self.app(scope, receive, upper)


@pytest.mark.parametrize("path", ["/mount/file", "/starlette/file", "/velithon/file"])
def test_layers_of_what_is_mounted(client: ClientFactory, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_bytes(b"bytes")

    async def file(request: Request) -> StarletteFileResponse:
        return StarletteFileResponse(tmp_path / "file")

    app, mounted, layers = Velithon(), Velithon(), [Middleware(Upper)]
    mounted.add_middleware(Upper)
    mounted.get("/file")(file)
    app.routes.append(Mount("/mount", routes=[Route("/file", file)], middleware=layers))
    app.mount("/starlette", Starlette(routes=[Route("/file", file)], middleware=layers))
    app.mount("/velithon", mounted)
    with client(app) as c:
        assert c.get(path).content == b"BYTES"
