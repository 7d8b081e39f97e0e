"""Files as they are sent behind layers of every form."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import Middleware, Velithon
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests import Request
from velithon.responses import FileResponse, PlainTextResponse, Response
from velithon.staticfiles import StaticFiles


class Passes(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


class Plain:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Guides:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, protocol: Any) -> None:
        await self.app(scope, protocol)


@pytest.mark.parametrize("layers", [[], [Passes], [Plain], [Guides], [Guides, Plain, Passes], [Plain, Passes, Guides]])
@pytest.mark.parametrize("on_route", [False, True])
def test_a_file_that_fails_while_it_is_sent_reaches_its_handler(
    client: ClientFactory, layers: list[Any], on_route: bool
) -> None:
    """Whatever stands around the endpoint: the handlers are inside, as with what an endpoint raises."""
    stack = [Middleware(layer) for layer in layers]
    app = Velithon(middleware=[] if on_route else stack)

    @app.exception_handler(RuntimeError)
    async def missing(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("gone", status_code=410)

    @app.get("/file", middleware=stack if on_route else [])
    async def file() -> Response:
        return FileResponse("/nowhere/at/all")

    answer = client(app, raise_server_exceptions=False).get("/file")
    assert (answer.status_code, answer.text) == (410, "gone")


@pytest.mark.parametrize("layers", [[], [Passes], [Plain], [Guides], [Guides, Plain, Passes], [Plain, Passes, Guides]])
@pytest.mark.parametrize("path", ["/static/a.bin", "/file"])
def test_ranges_are_whole_behind_every_kind_of_layer(
    client: ClientFactory, layers: list[Any], path: str, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 4000
    (tmp_path / "a.bin").write_bytes(content)
    app = Velithon(middleware=[Middleware(layer) for layer in layers])
    app.mount("/static", StaticFiles(directory=tmp_path))

    @app.get("/file")
    async def file() -> Response:
        return FileResponse(tmp_path / "a.bin")

    with client(app) as c:
        for first, last in ((3, 5), (0, 0), (700_001, 1_023_999), (0, 1_023_999)):
            part = c.get(path, headers={"range": f"bytes={first}-{last}"})
            assert (part.status_code, part.content == content[first : last + 1]) == (206, True)
            assert part.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"
            assert part.headers["content-length"] == str(last - first + 1)
            assert c.head(path, headers={"range": f"bytes={first}-{last}"}).status_code == 206
        several = c.get(path, headers={"range": "bytes=0-1,5-6"})
        assert several.headers["content-type"].startswith("multipart/byteranges")
        assert c.get(path).content == content
        # The file is closed after the response; until then the loop has to last.
        assert c.get("/nothing").status_code == 404
