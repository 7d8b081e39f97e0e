"""Over RSGI a stream that does not come to its end shuts its connection, which a complete one leaves open."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.memory import Protocol, Scope
from velithon import Velithon
from velithon.exceptions import VelithonError
from velithon.responses import StreamingResponse
from velithon_adapters.stopping import stopping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.asyncio
SECONDS = 10


async def complete() -> AsyncIterator[bytes]:
    yield b"first"


async def failing() -> AsyncIterator[bytes]:
    yield b"first"
    raise ValueError("later")


async def cancelling() -> AsyncIterator[bytes]:
    yield b"first"
    raise asyncio.CancelledError


async def idle() -> AsyncIterator[bytes]:
    yield b"first"
    await asyncio.Event().wait()


def serving(chunks: Callable[[], AsyncIterator[bytes]]) -> Velithon:
    app = Velithon()

    @app.get("/")
    async def stream() -> StreamingResponse:
        return StreamingResponse(chunks())

    return app


async def until_sent(protocol: Protocol) -> None:
    while protocol.calls[-1:] != [("chunk", b"first")]:
        await asyncio.sleep(0.001)


async def stream_over(connection: socket.socket, chunks: Any, end: Callable[[Any, Protocol], object]) -> Any:
    """Serve a stream as if it came by this connection; return what the application raised."""
    here, there = (f"{host}:{port}" for host, port in (connection.getsockname(), connection.getpeername()))
    protocol = Protocol().end()
    scope: Any = Scope(client=here, server=there)
    task = asyncio.ensure_future(serving(chunks).__rsgi__(scope, protocol))
    await asyncio.wait_for(until_sent(protocol), SECONDS)
    end(task, protocol)
    done, _ = await asyncio.wait((task,), timeout=SECONDS)
    assert done, "the stream goes on"
    return asyncio.CancelledError if task.cancelled() else type(task.exception())


def stop_the_server(_: Any, __: Protocol) -> None:
    for end in tuple(stopping.streams):
        end()


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux finds the connection of a stream.")
@pytest.mark.parametrize(
    ("chunks", "end", "raised", "breaks_off"),
    [
        (complete, lambda *_: None, type(None), False),
        (failing, lambda *_: None, ValueError, True),
        (cancelling, lambda *_: None, VelithonError, True),
        (idle, stop_the_server, type(None), True),
        (idle, lambda _, protocol: asyncio.get_running_loop().call_later(0.06, protocol.leave), type(None), False),
        (idle, lambda task, _: task.cancel(), asyncio.CancelledError, False),
    ],
    ids=["complete", "fails", "cancels itself", "server stops", "client leaves", "is cancelled"],
)
async def test_how_a_stream_ends(chunks: Any, end: Any, raised: type, breaks_off: bool) -> None:
    """Its client sees the end of the connection where the server would say that all was sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server = listener.accept()[0]
    with closing(listener), closing(client), closing(server):
        assert await stream_over(client, chunks, end) is raised
        client.setblocking(False)
        ended = False
        with suppress(BlockingIOError):
            ended = client.recv(1) == b""
        assert ended is breaks_off


@pytest.mark.parametrize("version", ["2.0", "2.4"], ids=["a task beside", "a task of its own"])
async def test_a_generator_that_cancels_itself_is_no_end_over_asgi(version: str) -> None:
    """The application raises, and the body is not said to be complete, whichever task Starlette streams in."""
    sent: list[Any] = []
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not requests:
            await asyncio.Event().wait()
        return requests.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    scope["asgi"] = {"version": "3.0", "spec_version": version}
    with pytest.raises((VelithonError, ExceptionGroup)) as caught:
        await asyncio.wait_for(serving(cancelling)(scope, receive, send), SECONDS)
    assert isinstance(caught.value, VelithonError) or caught.group_contains(VelithonError)
    assert [message.get("more_body") for message in sent] == [None, True]
