"""The end of listening: what the kernel has taken is not lost."""

import asyncio
import multiprocessing
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.waiting import until
from velithon_adapters.servers.listeners import close_listeners, refuse_connections, until_read
from velithon_adapters.servers.supervising import leaving_no_workers, set_in_handler

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="other systems have neither /proc nor packet filters"),
]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket that accepts without waiting."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    """Where a test leaves its sockets to be closed."""
    with ExitStack() as stack:
        yield stack


def connected(stack: ExitStack, listener: socket.socket) -> socket.socket:
    """Return a client that the kernel has taken."""
    return stack.enter_context(socket.create_connection(listener.getsockname(), timeout=10))


async def test_who_was_taken_stays_and_nobody_comes_after(listener: socket.socket, sockets: ExitStack) -> None:
    """Who comes after is refused when the socket is closed, and may ask elsewhere: nothing was sent."""
    first = connected(sockets, listener)
    await refuse_connections([listener.fileno()])
    late = sockets.enter_context(socket.socket())
    late.setblocking(False)
    late.connect_ex(listener.getsockname())
    assert not select.select([], [late], [], 0.1)[1]
    first.sendall(b"x")  # packets of connections that stand still arrive
    accepted = sockets.enter_context(listener.accept()[0])
    accepted.settimeout(10)
    assert accepted.recv(1) == b"x"
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()
    assert select.select([], [late], [], 10)[1]
    assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


async def test_a_listener_is_closed_when_all_that_wait_are_accepted(
    listener: socket.socket, sockets: ExitStack
) -> None:
    """Closed before, it would reset them."""
    connected(sockets, listener)
    closing = asyncio.create_task(close_listeners(listener.getsockname()[1], for_good=True, patience=20))
    await asyncio.sleep(0.1)
    assert not closing.done()
    sockets.enter_context(listener.accept()[0])
    await asyncio.wait_for(closing, 10)


async def test_who_waits_is_left_to_the_others(listener: socket.socket, sockets: ExitStack) -> None:
    """To the other workers, or to the next one, who accept from the same socket."""
    connected(sockets, listener)
    here, there = socket.socketpair()
    sockets.enter_context(here)
    sockets.enter_context(there)
    socket.send_fds(here, [b"x"], [listener.fileno()])  # where this process does not see it
    await asyncio.wait_for(close_listeners(listener.getsockname()[1], for_good=False, patience=20), 10)
    (descriptor,) = socket.recv_fds(there, 1, 1)[1]
    others = sockets.enter_context(socket.socket(fileno=descriptor))
    sockets.enter_context(others.accept()[0])


async def test_reading_is_waited_for(listener: socket.socket, sockets: ExitStack) -> None:
    """For the first bytes of a connection, and for bytes that are there."""
    client = connected(sockets, listener)
    accepted = sockets.enter_context(listener.accept()[0])
    waiting = asyncio.create_task(until_read(listener.getsockname()[1], 20))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    client.sendall(b"x")
    await asyncio.sleep(0.05)
    assert not waiting.done()
    accepted.recv(1)
    await asyncio.wait_for(waiting, 10)


async def test_nobody_is_waited_for_without_an_end(listener: socket.socket, sockets: ExitStack) -> None:
    """A client that never sends a byte costs as long as the server has patience."""
    connected(sockets, listener)
    sockets.enter_context(listener.accept()[0])
    await asyncio.wait_for(until_read(listener.getsockname()[1], 0.05), 10)


async def test_a_unix_socket_is_closed_too(sockets: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> None:
    """There are no packets to drop: its file is gone before."""
    path = str(tmp_path_factory.mktemp("u") / "s")
    listener = sockets.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(path)
    listener.listen()
    await close_listeners(path, for_good=True, patience=5)
    client = sockets.enter_context(socket.socket(socket.AF_UNIX))
    with pytest.raises(ConnectionRefusedError):
        client.connect(path)


async def test_an_event_is_set_in_a_handler_that_interrupts_its_wait() -> None:
    """Within `wait` the thread holds the lock that `set` takes: it would wait for itself, for ever."""
    event = threading.Event()
    with event._cond:  # type: ignore[attr-defined]  # where the handler may run
        set_in_handler(event)
    until(event.is_set, "the event is set", 10)


async def test_no_worker_is_left_behind_by_an_error() -> None:
    """The process would wait for it at its end, and the worker for the process."""
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=time.sleep, args=(60,))
    with suppress(ZeroDivisionError), leaving_no_workers():
        worker.start()
        raise ZeroDivisionError
    assert worker.exitcode == -9
