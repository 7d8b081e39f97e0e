"""Who asks whether the client is still there, and then reads the body, gets all of it."""

import asyncio
import socket
import time
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect

from tests.conftest import ClientFactory
from tests.servers import SERVERS, ServerName, serve
from velithon import Velithon
from velithon.middleware import Middleware
from velithon.requests.readahead import AHEAD_SIZE, DisconnectPoll
from velithon.requests.request import Request


class Through:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def application(*layers: Any, **options: Any) -> Velithon:
    app = Velithon(middleware=[Middleware(layer) for layer in layers], **options)

    @app.post("/body")
    async def body(request: Request, polls: int = 3) -> int:
        for _ in range(polls):
            assert not await request.is_disconnected()
            await asyncio.sleep(0)
        return len(await request.body())

    @app.post("/receive")
    async def receive(request: Request) -> int:
        early, size = request.receive, 0
        first = await early()
        assert not await request.is_disconnected()
        size, more = len(first.get("body", b"")), first.get("more_body")
        while more:
            message = await request.receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body")
            assert not await request.is_disconnected()
        return size

    @app.post("/json")
    async def json(data: dict[str, int], request: Request) -> list[Any]:
        return [data, await request.is_disconnected(), await request.json()]

    @app.post("/form")
    async def form(request: Request) -> list[Any]:
        await request.is_disconnected()
        return [name for name, _ in (await request.form()).multi_items()]

    return app


@pytest.mark.parametrize("layers", [(), (Through,)])
@pytest.mark.parametrize("polls", [0, 1, 2, 50])
def test_the_body_after_polls(client: ClientFactory, polls: int, layers: tuple[Any, ...]) -> None:
    with client(application(*layers)) as c:
        parts = [b"x" * 1000] * 20
        assert c.post("/body", content=b"".join(parts), params={"polls": polls}).json() == 20_000
        assert c.post("/body", content=iter(parts), params={"polls": polls}).json() == 20_000
        assert c.post("/body", params={"polls": polls}).json() == 0


@pytest.mark.parametrize("limit", [None, 20_000])
def test_other_readers_after_polls(client: ClientFactory, limit: int | None) -> None:
    with client(application(max_body_size=limit)) as c:
        parts = [b"x" * 1000] * 20
        assert c.post("/receive", content=iter(parts)).json() == 20_000
        assert c.post("/receive", content=b"".join(parts)).json() == 20_000
        assert c.post("/json", json={"a": 1}).json() == [{"a": 1}, False, {"a": 1}]
        assert c.post("/form", data={"a": "1", "b": "2"}).json() == ["a", "b"]
        if limit is not None:
            for path in ("/body", "/receive"):
                assert c.post(path, content=iter([*parts, b"x"])).status_code == 413


def test_a_layer_that_polls(client: ClientFactory) -> None:
    app = application(Through)

    @app.middleware("http")
    async def poll(request: Request, call_next: Any) -> Any:
        assert not await request.is_disconnected()
        return await call_next(request)

    with client(app) as c:
        assert c.post("/body", content=b"abc").json() == 3


@pytest.mark.anyio
async def test_no_more_is_held_than_said() -> None:
    asked = 0

    async def receive() -> Any:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * (AHEAD_SIZE // 2), "more_body": True}

    unread = DisconnectPoll(receive)
    for _ in range(5):
        assert not await unread.is_disconnected()
    assert asked == 2
    for read in range(1, 4):
        assert len((await unread())["body"]) == AHEAD_SIZE // 2
        assert asked <= read + 2
        assert not await unread.is_disconnected()
        assert asked == read + 2
    unread.stop()


@pytest.mark.anyio
async def test_a_question_is_asked_once_and_never_forgotten() -> None:
    answers: asyncio.Queue[Any] = asyncio.Queue()
    unread = DisconnectPoll(answers.get)
    assert not await unread.is_disconnected()
    reader = asyncio.create_task(unread())
    await asyncio.sleep(0)
    assert not await unread.is_disconnected()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    answers.put_nowait({"type": "http.request", "body": b"kept", "more_body": False})
    answers.put_nowait({"type": "http.disconnect"})
    assert (await unread())["body"] == b"kept"
    assert await unread.is_disconnected()
    assert (await unread())["type"] == "http.disconnect"
    unread.stop()


@pytest.mark.anyio
async def test_a_reader_and_a_poll_at_the_same_time() -> None:
    """Each message is given once, in order, whoever polls how often meanwhile."""
    for turns in range(4):
        messages: asyncio.Queue[Any] = asyncio.Queue()
        request = Request({"type": "http", "headers": []}, messages.get)
        assert not await request.is_disconnected()

        async def polls(request: Request) -> None:
            while not await request.is_disconnected():
                pass

        poll = asyncio.create_task(polls(request))
        reader = asyncio.create_task(request.body())
        for number in range(20):
            for _ in range(turns):
                await asyncio.sleep(0)
            messages.put_nowait({"type": "http.request", "body": b"%d," % number, "more_body": number < 19})
        assert await reader == b"".join(b"%d," % number for number in range(20))
        messages.put_nowait({"type": "http.disconnect"})
        await poll


@pytest.mark.anyio
async def test_two_readers_of_one_message() -> None:
    answers: asyncio.Queue[Any] = asyncio.Queue()
    unread = DisconnectPoll(answers.get)
    assert not await unread.is_disconnected()
    readers = [asyncio.create_task(unread()) for _ in range(2)]
    await asyncio.sleep(0)
    for body in (b"a", b"b"):
        answers.put_nowait({"type": "http.request", "body": body, "more_body": True})
    assert [(await reader)["body"] for reader in readers] == [b"a", b"b"]


@pytest.mark.anyio
async def test_a_server_that_fails() -> None:
    async def receive() -> Any:
        raise OSError("gone")

    request = Request({"type": "http", "headers": []}, receive)
    with pytest.raises(OSError, match="gone"):
        await request.is_disconnected()


@pytest.mark.anyio
async def test_a_body_that_is_broken_off_after_a_poll() -> None:
    messages = iter([{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    request = Request({"type": "http", "headers": []}, receive)
    assert [await request.is_disconnected() for _ in range(3)] == [False, True, True]
    with pytest.raises(ClientDisconnect):
        await request.body()


APP = """
import asyncio
from velithon import Velithon
from velithon.requests import Request

app = Velithon()
LEFT = []

@app.post("/")
async def root(request: Request, polls: int):
    for _ in range(polls):
        if await request.is_disconnected():
            LEFT.append("too early")
        await asyncio.sleep(0.002)
    return len(await request.body())

@app.post("/wait")
async def wait(request: Request):
    LEFT.append("waits")
    while not await request.is_disconnected():
        await asyncio.sleep(0.005)
    LEFT.append("left")

@app.get("/left")
async def left():
    return LEFT
"""


@pytest.mark.parametrize("server", SERVERS)
def test_real_servers(server: ServerName) -> None:
    with serve(APP, server) as running, httpx.Client(base_url=running.url) as c:
        for size in (0, 10, 100_000, 3_000_000):
            for polls in (0, 1, 2, 20):
                assert c.post("/", params={"polls": polls}, content=b"x" * size).json() == size, (size, polls)
        chunks = (b"x" * 1000 for _ in range(100))
        assert c.post("/", params={"polls": 5}, content=chunks).json() == 100_000
        assert c.get("/left").json() == []
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(b"POST /wait HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\nbody")
            _until(c, ["waits"])
        _until(c, ["waits", "left"])


def _until(c: httpx.Client, expected: list[str]) -> None:
    deadline = time.monotonic() + 10
    while (found := c.get("/left").json()) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
