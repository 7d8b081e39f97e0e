"""The beginning of a stream is sent once, with its first chunk or after a delay; in memory."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from velithon import Velithon
from velithon.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import ClientFactory

DELAY = 0.02


class Stream(StreamingResponse):
    start_delay = DELAY


async def two_chunks() -> AsyncIterator[bytes]:
    yield b"a"
    await asyncio.sleep(4 * DELAY)
    yield b"b"


def make(chunks: Any) -> Velithon:
    app = Velithon()

    @app.get("/")
    async def stream() -> Stream:
        return Stream(chunks())

    return app


def test_a_stream_that_began_in_time_is_not_begun_again(client: ClientFactory) -> None:
    """When the delay is over that its first chunk did not need."""
    with client(make(two_chunks)) as c:
        assert c.get("/").text == "ab"


async def ask(app: Velithon, start: Any, leave: asyncio.Event) -> list[str]:
    """Run an application on an ASGI server that calls `start` for the first message; return what was sent."""
    sent: list[str] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        if body:
            return body.pop()
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if not sent:
            start()
        sent.append(message["type"])

    await asyncio.wait_for(app(scope, receive, send), 10)
    return sent


@pytest.mark.asyncio
async def test_an_asgi_server_is_sent_one_start() -> None:
    """The second would be an error on it."""
    sent = await ask(make(two_chunks), lambda: None, asyncio.Event())
    assert sent == ["http.response.start", *["http.response.body"] * 3]


@pytest.mark.asyncio
async def test_a_late_start_that_fails_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The client left, which is no failure of the application's."""
    leave = asyncio.Event()

    def start() -> None:
        leave.set()
        raise OSError("the client is gone")

    async def waits() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    await ask(make(waits), start, leave)
    gc.collect()
    assert not caplog.records
