"""The beginning of a stream is sent once, with its first chunk or after a delay; in memory."""

from __future__ import annotations

import asyncio
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


@pytest.mark.asyncio
async def test_an_asgi_server_is_sent_one_start() -> None:
    """The second would be an error on it."""
    sent: list[str] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        if body:
            return body.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await asyncio.wait_for(make(two_chunks)(scope, receive, send), 10)
    assert sent == ["http.response.start", *["http.response.body"] * 3]
