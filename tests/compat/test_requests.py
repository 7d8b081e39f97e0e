"""What an endpoint and layers may do with one request on both faces."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse as StarletteStreamingResponse

from tests.conftest import ClientFactory
from velithon import Request, Velithon
from velithon.requests.forms import join_pieces
from velithon.responses import JSONResponse, StreamingResponse


class Foreign(BaseHTTPMiddleware):
    """Starlette's layer, unchanged: it watches for the client's leaving while it streams the answer on."""


def test_a_body_read_by_a_layer_stays_readable_behind_foreign_layers(client: ClientFactory) -> None:
    """Whoever asks for more of the request is told when the client leaves, as on an ASGI server."""
    app = Velithon()

    async def through(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app.add_middleware(Foreign, dispatch=through)

    @app.middleware("http")
    async def read(request: Request, call_next: Any) -> Any:
        request.state.size = len(await request.body())
        return await call_next(request)

    @app.post("/")
    async def echo(request: Request, data: dict[str, int]) -> list[Any]:
        return [data, request.state.size, len(await request.body()), await request.is_disconnected()]

    @app.post("/stream")
    async def stream(data: dict[str, int]) -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            yield str(data).encode()

        return StarletteStreamingResponse(chunks())

    with client(app) as caller:
        assert caller.post("/", json={"a": 1}).json() == [{"a": 1}, 7, 7, False]
        assert caller.post("/stream", json={"a": 1}).text == "{'a': 1}"


def test_is_disconnected_after_the_body(client: ClientFactory) -> None:
    """A stream may ask whether its client is still there, whatever was read before."""
    app = Velithon()

    @app.post("/")
    async def watch(request: Request, data: dict[str, int]) -> Any:
        async def chunks() -> AsyncIterator[str]:
            for _ in range(3):
                if await request.is_disconnected():
                    break
                yield str(data["a"])

        return StreamingResponse(chunks())

    @app.post("/form")
    async def form(request: Request) -> list[Any]:
        async with request.form() as fields:
            return [sorted(fields), await request.is_disconnected()]

    @app.post("/stream")
    async def stream(request: Request) -> list[Any]:
        size = sum([len(chunk) async for chunk in request.stream()])
        return [size, await request.is_disconnected()]

    with client(app) as caller:
        assert caller.post("/", json={"a": 1}).text == "111"
        assert caller.post("/form", data={"a": "1"}).json() == [["a"], False]
        assert caller.post("/form", data={"a": "1"}, files={"b": b"x"}).json() == [["a", "b"], False]
        assert caller.post("/stream", content=b"abc").json() == [3, False]


def test_layers_see_which_endpoint_answered(client: ClientFactory) -> None:
    """In the scope, where Starlette and the instruments made for it look."""
    app, part = Velithon(), Velithon()
    seen: list[Any] = []

    class Watch:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            if scope["type"] == "http":
                seen.append((scope.get("endpoint"), getattr(scope.get("route"), "path", None), scope["path_params"]))

    app.add_middleware(Watch)
    part.add_middleware(Watch)

    @app.get("/items/{item}")
    async def read(item: str) -> str:
        return item

    @part.get("/things/{thing}")
    async def inner(thing: str) -> str:
        return thing

    app.mount("/{tenant}/part", part)
    with client(app) as caller:
        assert caller.get("/items/a").json() == "a"
        assert caller.get("/t/part/things/b").json() == "b"
    assert seen[0] == (read, "/items/{item}", {"item": "a"})
    assert seen[1] == (inner, "/things/{thing}", {"tenant": "t", "thing": "b"})


def test_a_layer_may_ask_for_the_client_before_the_body_is_read(client: ClientFactory) -> None:
    """What it read ahead for that is the endpoint's."""
    app = Velithon()

    @app.middleware("http")
    async def poll(request: Request, call_next: Any) -> Any:
        assert not await request.is_disconnected()
        return await call_next(request)

    @app.post("/")
    async def echo(data: dict[str, int]) -> Any:
        return data

    with client(app) as caller:
        assert caller.post("/", json={"a": 1}).json() == {"a": 1}


def test_malformed_json_says_where_as_the_standard_library_does(client: ClientFactory) -> None:
    """Code that catches `json.JSONDecodeError` reads the place."""
    app = Velithon()
    document = '{"a": 1,\n "b" 2}'

    @app.post("/")
    async def read(request: Request) -> list[Any]:
        try:
            await request.json()
        except json.JSONDecodeError as exc:
            return [exc.msg, exc.doc, exc.pos, exc.lineno, exc.colno]
        return []

    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(document)
    expected = [caught.value.msg, document, caught.value.pos, 2, 6]
    with client(app) as caller:
        assert caller.post("/", content=document).json() == expected


def _form_app() -> Velithon:
    app = Velithon()

    @app.post("/")
    async def count(request: Request) -> int:
        async with request.form() as form:
            return len(form.multi_items())

    return app


@pytest.mark.parametrize(("kind", "detail"), [("files", "Too many files."), ("fields", "Too many fields.")])
def test_a_form_has_a_thousand_parts_at_most(client: ClientFactory, kind: str, detail: str) -> None:
    """Of each kind, as Starlette has it."""
    name = b'; filename="f"' if kind == "files" else b""
    part = b'--b\r\ncontent-disposition: form-data; name="n"' + name + b"\r\n\r\nx\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    with client(_form_app()) as caller:
        assert caller.post("/", content=part * 1000 + b"--b--", headers=headers).json() == 1000
        refused = caller.post("/", content=part * 1001 + b"--b--", headers=headers)
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith(detail)


def test_a_form_in_a_charset_that_cannot_be_read_is_refused(client: ClientFactory) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b; charset=undefined"}
    content = '--b\r\ncontent-disposition: form-data; name="n"\r\n\r\né\r\n--b--'.encode()
    with client(_form_app()) as caller:
        refused = caller.post("/", content=content, headers=headers)
        assert (refused.status_code, refused.json()) == (400, {"detail": "The form's charset cannot be read."})


@pytest.mark.asyncio
async def test_small_pieces_of_a_body_are_joined() -> None:
    """Up to a size; each piece costs a turn in a thread where a file is on the disk."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for piece in (b"ab", b"c", b"defg", b"h"):
            yield piece

    assert [piece async for piece in join_pieces(pieces(), 3)] == [b"abc", b"defg", b"h"]


def test_handlers_of_exceptions_see_the_values_of_the_path(client: ClientFactory) -> None:
    """Also those of an endpoint that takes nothing else, for which no request was made before it raised."""
    app = Velithon()

    @app.exception_handler(KeyError)
    async def handle(request: Request, exc: KeyError) -> JSONResponse:
        return JSONResponse([request.path_params, request.scope["route"].path])

    @app.get("/items/{item}")
    async def read(item: str) -> None:
        raise KeyError

    with client(app) as caller:
        assert caller.get("/items/a").json() == [{"item": "a"}, "/items/{item}"]
