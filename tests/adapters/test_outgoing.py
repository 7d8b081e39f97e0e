"""What is on its way to a client, on real connections of this process."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.memory import Protocol, Scope, turn
from velithon_adapters.http import HTTPSend
from velithon_adapters.outgoing import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells what was sent on a connection."),
]

MEBIBYTE = 1024 * 1024
SECONDS = 10


@pytest.fixture
def connect() -> Iterator[Any]:
    """Make connections to a port of this process: the server's side, and the client's. The first is nobody's."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def make() -> tuple[socket.socket, socket.socket]:
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            server = stack.enter_context(listener.accept()[0])
            server.setblocking(False)
            client.settimeout(SECONDS)
            # A socket without a connection, which is looked at first.
            stack.enter_context(socket.socket())
            return server, client

        make()
        yield make


def scope_of(client: socket.socket, **options: Any) -> Scope:
    """Return the scope of a request that came over a connection."""
    here, there = (f"{host}:{port}" for host, port in (client.getsockname(), client.getpeername()))
    return Scope(client=here, server=there, **options)


def fill(server: socket.socket) -> int:
    """Send until the kernel takes no more; return how much that was."""
    total = 0
    while True:
        try:
            total += server.send(bytes(65536))
        except BlockingIOError:
            return total


def receive(client: socket.socket, size: int) -> None:
    while size:
        size -= len(client.recv(min(size, MEBIBYTE)))


async def is_waiting(task: asyncio.Task[Any]) -> bool:
    """Tell whether a task waits for longer than it would if it had anything to do."""
    await asyncio.wait((task,), timeout=0.05)
    return not task.done()


async def test_a_stream_waits_until_its_client_was_sent_everything(connect: Any) -> None:
    """What the kernel took and did not send counts; nothing is waited for once it is sent."""
    server, client = connect()
    outgoing = Outgoing(scope_of(client), Protocol())
    await asyncio.wait_for(outgoing.drain(), SECONDS)
    sent = fill(server)
    draining = asyncio.ensure_future(outgoing.drain(sent))
    assert await is_waiting(draining)
    await asyncio.to_thread(receive, client, sent)
    await asyncio.wait_for(draining, SECONDS)


async def test_a_stream_waits_for_what_the_server_holds(connect: Any) -> None:
    """Up to a mebibyte may be ahead of the kernel; the client's leaving, or a limit, ends the waiting."""
    _, client = connect()
    protocol = Protocol()
    outgoing = Outgoing(scope_of(client), protocol)
    await asyncio.wait_for(outgoing.drain(10), SECONDS)
    await asyncio.wait_for(outgoing.drain(MEBIBYTE - 10), SECONDS)
    draining = asyncio.ensure_future(outgoing.drain(MEBIBYTE))
    assert await is_waiting(draining)
    await asyncio.wait_for(outgoing.drain(limit=0.02), SECONDS)
    assert not draining.done()
    protocol.leave()
    await asyncio.wait_for(draining, SECONDS)
    assert all(future.done() for future in protocol.gone)


async def test_a_mebibyte_is_sent_ahead(connect: Any) -> None:
    """A stream asks after each; one without a scope, or that is complete, never waits or breaks off."""
    _, client = connect()
    protocol = Protocol()
    part = {"type": "http.response.body", "body": bytes(MEBIBYTE + 1), "more_body": True}
    async with HTTPSend(protocol, scope=scope_of(client)) as send:
        await send({"type": "http.response.start", "status": 200})
        await asyncio.wait_for(send(part), SECONDS)
        sending = asyncio.ensure_future(send(part))
        assert await is_waiting(sending)
        protocol.leave()
        await asyncio.wait_for(sending, SECONDS)
        await asyncio.wait_for(send({"type": "http.response.body"}), SECONDS)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    async with HTTPSend(Protocol()) as send:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(3):
            await asyncio.wait_for(send(part), SECONDS)
        await send({"type": "http.response.body"})


async def test_a_stream_that_fails_shuts_its_connection_alone(connect: Any) -> None:
    """What was sent arrives, then the end; other connections of the same port stay as they are."""
    first, last, (server, client) = connect(), connect(), connect()
    server.send(b"sent")
    await asyncio.wait_for(Outgoing(scope_of(client), Protocol()).abort(), SECONDS)
    assert client.recv(100) == b"sent"
    assert client.recv(100) == b""
    for other, its_client in (first, last):
        other.send(b"x")
        assert its_client.recv(1) == b"x"


@pytest.mark.parametrize("options", [{"http_version": "2"}, {"client": "/run/app.sock"}, {"server": "127.0.0.1:1"}])
async def test_what_is_no_connection_of_its_own_is_left_alone(connect: Any, options: dict[str, str]) -> None:
    """HTTP/2 carries other requests, too; a UNIX socket's client has no address; another port is another server."""
    server, client = connect()
    scope = scope_of(client)
    for name, value in options.items():
        setattr(scope, name, value)
    outgoing = Outgoing(scope, Protocol())
    await asyncio.wait_for(outgoing.abort(), SECONDS)
    fill(server)
    if "http_version" not in options:
        await asyncio.wait_for(outgoing.drain(2 * MEBIBYTE), SECONDS)
    assert client.recv(1) == b"\0"
    await turn()


async def test_a_descriptor_that_became_anothers_is_not_touched(connect: Any) -> None:
    """The server may close its socket at any time, and its number be given to the next connection."""
    server, client = connect()
    other, its_client = connect()
    outgoing = Outgoing(scope_of(client), Protocol())
    await asyncio.wait_for(outgoing.drain(), SECONDS)
    os.dup2(other.fileno(), server.fileno())
    sent = fill(other)
    await asyncio.wait_for(outgoing.drain(2 * MEBIBYTE), SECONDS)
    await asyncio.wait_for(outgoing.abort(), SECONDS)
    await asyncio.to_thread(receive, its_client, sent)
    other.send(b"x")
    assert its_client.recv(1) == b"x"
