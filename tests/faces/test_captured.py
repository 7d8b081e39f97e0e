"""What ASGI applications send behind layers: trailers, early hints, and an answer that nobody reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.adapters import memory
from tests.conftest import ClientFactory
from velithon import Middleware, Velithon
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.body_limit import BodyLimitMiddleware
from velithon.middleware.gzip import GZipMiddleware
from velithon.responses import PlainTextResponse, StreamingResponse
from velithon.testclient import ProtocolName, TestClient

TEXT = b"compress me " * 100


def trailing(more: bool) -> ASGIApp:
    """Return an application that sends its body in one message, or two, then trailers in two."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": TEXT, "more_body": more})
        if more:
            await send({"type": "http.response.body", "body": b""})
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"grpc-message", b"ok")]})

    return app


async def forgetful(scope: Scope, receive: Receive, send: Send) -> None:
    """Announce trailers and send none."""
    await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
    await send({"type": "http.response.body", "body": TEXT})


async def untouched(request: Any, call_next: Any) -> Any:
    return await call_next(request)


LAYERS: dict[str, Callable[[], Middleware]] = {
    "gzip": lambda: Middleware(GZipMiddleware),
    "function": lambda: Middleware(BaseHTTPMiddleware, dispatch=untouched),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_trailers_go_through_layers(protocol: ProtocolName, layer: str, more: bool, encoding: str) -> None:
    """Compressed or not, the body comes whole, and on ASGI its trailers after it; RSGI has none."""
    app = Velithon(middleware=[LAYERS[layer]()])
    app.mount("/in", trailing(more))
    answer = TestClient(app, protocol=protocol).get("/in/", headers={"accept-encoding": encoding})
    assert answer.content == TEXT
    assert answer.headers.get("content-encoding") == ("gzip" if (encoding, layer) == ("gzip", "gzip") else None)
    if protocol == "asgi":
        trailers = answer.extensions["http.response.trailers"]
        assert trailers == [(b"grpc-status", b"0"), (b"grpc-message", b"ok")]


def test_trailers_that_never_come(client: ClientFactory) -> None:
    """An application that announces trailers and ends is done all the same."""
    app = Velithon(middleware=[LAYERS["gzip"]()])
    app.mount("/in", forgetful)
    assert client(app).get("/in/").content == TEXT


@pytest.mark.parametrize("accept", ["gzip", "gzip;q=0"])
def test_trailers_of_a_foreign_application(accept: str) -> None:
    """Around another framework's application the layer is Starlette's, but for a refusal of gzip."""
    answer = TestClient(GZipMiddleware(trailing(True))).get("/", headers={"accept-encoding": accept})
    assert answer.content == TEXT
    assert answer.headers.get("content-encoding") == ("gzip" if accept == "gzip" else None)
    assert (b"grpc-status", b"0") in answer.extensions["http.response.trailers"]


@pytest.mark.anyio
async def test_early_hints_are_sent_before_the_response() -> None:
    """Those of an application behind a layer reach the server at once."""

    async def hinting(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
        await PlainTextResponse("hello")(scope, receive, send)

    app = Velithon(middleware=[LAYERS["function"]()])
    app.mount("/in", hinting)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/in/", "headers": [], "query_string": b""}
    await asyncio.wait_for(app(scope, receive, send), 10)
    assert [message["type"] for message in sent[:2]] == ["http.response.early_hint", "http.response.start"]


def test_an_answer_that_nobody_reads_lets_others_run(client: ClientFactory) -> None:
    """An application whose answer a layer throws away is told that the client is gone, though it never waits."""
    told: list[bool] = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        chunk: Message = {"type": "http.response.body", "body": b"x" * 1000, "more_body": True}
        for _ in range(10):
            await send(chunk)
        # Only now, when nobody reads any more and no message has to wait for a reader.
        left = asyncio.ensure_future(_departure(receive))
        for _ in range(10_000):
            await send(chunk)
            if left.done():
                break
        told.append(left.done())
        left.cancel()

    async def replaced(request: Any, call_next: Any) -> Any:
        await call_next(request)
        return PlainTextResponse("another")

    app = Velithon(middleware=[Middleware(BaseHTTPMiddleware, dispatch=replaced)])
    app.mount("/in", endless)
    with client(app) as tested:
        assert tested.get("/in/").text == "another"
        for _ in range(100):
            if told:
                break
            tested.get("/none")
    assert told == [True]


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.mark.anyio
async def test_a_body_limit_around_an_application_that_never_answers() -> None:
    """The limit adds nothing: what is inside may read, or not, and leave without a response."""
    seen: list[str] = []

    async def leaves(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((await receive())["type"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        seen.append(message["type"])

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await asyncio.wait_for(BodyLimitMiddleware(leaves, 5)(scope, receive, send), 10)
    assert seen == ["http.disconnect"]


@pytest.mark.anyio
async def test_trailers_end_an_answer() -> None:
    """The client has all of it while the application still does what follows."""
    complete = asyncio.Event()

    async def lasting(scope: Scope, receive: Receive, send: Send) -> None:
        await trailing(False)(scope, receive, send)
        await complete.wait()

    app = Velithon(middleware=[LAYERS["function"]()])
    app.mount("/in", lasting)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.trailers" and not message.get("more_trailers", False):
            complete.set()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/in/", "headers": [], "query_string": b""}
    await asyncio.wait_for(app(scope, receive, send), 10)
    assert [message["type"] for message in sent[-2:]] == ["http.response.trailers"] * 2


def test_what_follows_a_file_behind_a_layer_is_waited_for(client: ClientFactory, tmp_path: Path) -> None:
    """An application that hands over a file by its name, and then fails, has failed; the client has the file."""
    path = tmp_path / "file.txt"
    path.write_bytes(TEXT)

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(path)})
        await asyncio.sleep(0.01)
        raise LookupError("after the file")

    app = Velithon(middleware=[LAYERS["function"]()])
    app.mount("/in", failing)
    assert client(app, raise_server_exceptions=False).get("/in/").content == TEXT
    with pytest.raises(LookupError, match="after the file"):
        client(app).get("/in/")


def test_a_body_limit_around_an_application_that_never_reads(client: ClientFactory) -> None:
    """A body that is announced too large is refused, though nobody would have read it."""

    async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("heard nothing")(scope, receive, send)

    app = Velithon(middleware=[Middleware(BodyLimitMiddleware, max_body_size=5)])
    app.mount("/in", deaf)
    for tested, path in ((client(app), "/in/"), (TestClient(BodyLimitMiddleware(deaf, 5)), "/")):
        assert tested.post(path, content=b"123456").status_code == 413
        assert tested.post(path, content=b"12345").text == "heard nothing"


class Between:
    """An ASGI layer that hands everything on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def shouting(request: Any, call_next: Any) -> Any:
    response = await call_next(request)
    chunks = response.body_iterator

    async def upper() -> Any:
        async for chunk in chunks:
            yield chunk.upper()

    response.body_iterator = upper()
    return response


def behind(function: Any) -> Velithon:
    app = Velithon(middleware=[Middleware(Between), Middleware(BaseHTTPMiddleware, dispatch=function)])

    @app.get("/whole")
    async def whole() -> PlainTextResponse:
        return PlainTextResponse("whole")

    @app.get("/parts")
    async def parts() -> StreamingResponse:
        return StreamingResponse(iter(["first", "second"]))

    return app


async def exchange(app: Velithon, path: str) -> tuple[list[Message], int]:
    """Return the messages of an answer over ASGI, and how many tasks it took beside the server's own."""
    sent: list[Message] = []
    tasks = 0
    never = asyncio.get_running_loop().create_future()

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        nonlocal tasks
        tasks += 1
        return asyncio.Task(coroutine, loop=loop, **options)

    async def receive() -> Message:
        return await never  # type: ignore[no-any-return]  # the client says nothing, and stays

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": ""}
    asyncio.get_running_loop().set_task_factory(factory)
    async with asyncio.timeout(10):
        await app({**scope, "asgi": {"spec_version": "2.4"}}, receive, send)
    asyncio.get_running_loop().set_task_factory(None)
    return sent, tasks


def test_a_whole_body_behind_layers_is_one_message() -> None:
    """It is sent in one piece, as it would be without layers, and only the captured application has a task."""
    sent, tasks = asyncio.run(exchange(behind(untouched), "/whole"))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[1]["body"], sent[1].get("more_body", False), tasks) == (b"whole", False, 1)


@pytest.mark.parametrize(("function", "path", "body"), [(shouting, "/whole", "WHOLE"), (untouched, "/parts", None)])
def test_a_body_of_parts_behind_layers_stays_in_parts(
    client: ClientFactory, function: Any, path: str, body: str | None
) -> None:
    """Chunks that a layer puts in place of a whole body are what is sent, and a stream stays one."""
    sent, _ = asyncio.run(exchange(behind(function), path))
    assert [message.get("more_body", False) for message in sent[1:]][-2:] == [True, False]
    assert client(behind(function)).get(path).text == (body or "firstsecond")


def test_a_whole_body_behind_layers_is_one_call_over_rsgi() -> None:
    """The server is given the body with the status."""
    scope: Any = memory.Scope(path="/whole")
    protocol: Any = memory.Protocol()

    async def ask() -> None:
        await behind(untouched).__rsgi__(scope, protocol)

    asyncio.run(ask())
    pairs = [("content-length", "5"), ("content-type", "text/plain; charset=utf-8")]
    assert protocol.calls == [("bytes", 200, pairs, b"whole")]
