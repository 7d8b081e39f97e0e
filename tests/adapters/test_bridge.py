"""The worker's life around `RSGIAdapter`, on a loop that the server starts and stops."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.adapters.memory import Protocol, Scope, Websocket, turn
from velithon_adapters import LifespanError, RSGIAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

    from velithon_adapters.asgi import Message, Receive, Send


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop as Granian's worker has it."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_lifespan_runs_around_the_requests(loop: asyncio.AbstractEventLoop) -> None:
    """Its state reaches `request.state`."""
    events = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        events.append("up")
        yield {"pool": "open"}
        events.append("down")

    async def show(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.pool)

    adapter = RSGIAdapter(Starlette(lifespan=lifespan, routes=[Route("/", show)]), lifespan="on")
    protocol = Protocol()
    adapter.__rsgi_init__(loop)
    loop.run_until_complete(adapter.__rsgi__(Scope(), protocol))
    assert protocol.calls[0][3] == b"open"
    assert events == ["up"]
    adapter.__rsgi_del__(loop)
    assert events == ["up", "down"]


def test_failed_startup_ends_the_worker(loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture) -> None:
    """With exit code 1 and a line in the log."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(SystemExit) as caught:
        RSGIAdapter(app).__rsgi_init__(loop)
    assert caught.value.code == 1
    assert [record.message for record in caplog.records] == ["Application startup failed: no database"]


def test_failed_shutdown_is_logged(loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture) -> None:
    """The server goes on stopping."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise ValueError("cannot close")

    adapter = RSGIAdapter(app)
    adapter.__rsgi_init__(loop)
    adapter.__rsgi_del__(loop)
    assert "Application shutdown failed: it raised ValueError('cannot close')" in caplog.text


def test_lifespan_off(loop: asyncio.AbstractEventLoop) -> None:
    """The application is asked for requests only."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        raise AssertionError

    adapter = RSGIAdapter(app, lifespan="off")
    adapter.__rsgi_init__(loop)
    adapter.__rsgi_del__(loop)


def test_running_loop_is_refused() -> None:
    """Granian's embedded server starts inside of one; the error says what to do there."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        raise AssertionError

    async def embedded() -> None:
        adapter = RSGIAdapter(app)
        with pytest.raises(LifespanError, match="lifespan='off'"):
            adapter.__rsgi_init__(asyncio.get_running_loop())
        adapter.__rsgi_del__(asyncio.get_running_loop())

    asyncio.run(embedded())


async def linger(scope: Any, receive: Receive, send: Send) -> None:
    """Respond, then work on."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})
    await scope["state"]["work"].wait()
    scope["state"]["done"].append(True)


def test_end_waits_for_what_runs(loop: asyncio.AbstractEventLoop) -> None:
    """A background task is not cut off."""
    adapter = RSGIAdapter(linger, lifespan="off")
    work = asyncio.Event()
    done: list[bool] = []
    adapter.lifespan.state.update(work=work, done=done)
    tasks = [loop.create_task(adapter.__rsgi__(Scope(), Protocol())) for _ in range(2)]
    loop.run_until_complete(asyncio.sleep(0))
    loop.call_soon(work.set)
    adapter.__rsgi_del__(loop)
    assert done == [True, True]
    assert all(task.done() for task in tasks)


def test_end_tells_who_waits_for_a_client(loop: asyncio.AbstractEventLoop) -> None:
    """Nothing comes from the clients any more."""
    seen: list[str] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        seen.append((await receive())["type"])

    adapter = RSGIAdapter(app, lifespan="off")
    tasks = [
        loop.create_task(adapter.__rsgi__(Scope(), Protocol())),
        loop.create_task(adapter.__rsgi__(Scope(proto="ws"), Websocket())),
    ]
    loop.run_until_complete(turn())
    adapter.__rsgi_del__(loop)
    loop.run_until_complete(asyncio.gather(*tasks))
    assert sorted(seen) == ["http.disconnect", "websocket.disconnect"]


def test_end_does_not_wait_forever(loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture) -> None:
    """What is abandoned is logged."""
    adapter = RSGIAdapter(linger, lifespan="off", drain_timeout=0.01)
    adapter.lifespan.state.update(work=asyncio.Event(), done=[])
    task = loop.create_task(adapter.__rsgi__(Scope(), Protocol()))
    loop.run_until_complete(asyncio.sleep(0))
    adapter.__rsgi_del__(loop)
    assert "1 request(s) still ran 0.01 seconds after the server stopped" in caplog.text
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
