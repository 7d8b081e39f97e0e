"""Reading ahead of an application, against a server that is as delicate as Granian."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.memory import turn
from velithon_adapters.readahead import ReadAhead

if TYPE_CHECKING:
    from collections.abc import Callable

    from velithon_adapters.asgi import Message

pytestmark = pytest.mark.asyncio

DISCONNECT: dict[str, Any] = {"type": "http.disconnect"}


def request(body: bytes = b"", more_body: bool = True) -> dict[str, Any]:
    """Return a message with a piece of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more_body}


class OneCallbackFuture(asyncio.Future[Any]):
    """What Granian's `receive` returns: it calls one callback only."""

    callbacks = 0

    def add_done_callback(self, *args: Any, **options: Any) -> None:
        self.callbacks += 1
        assert self.callbacks == 1, "the second callback would never be called"
        super().add_done_callback(*args, **options)


class Server:
    """A server that fails the test where two receives are outstanding, or where one that was cancelled is repeated."""

    def __init__(self, *messages: Message | BaseException) -> None:
        self.coming: list[Any] = list(messages)
        self.asked = 0
        self.cancelled = False
        self.outstanding: OneCallbackFuture | None = None

    def receive(self) -> OneCallbackFuture:
        assert self.outstanding is None or self.outstanding.done(), "two receives at once"
        assert not self.cancelled, "asked after a receive that was cancelled"
        self.asked += 1
        future = self.outstanding = OneCallbackFuture()
        future.add_done_callback = self._watched(future)  # type: ignore[method-assign]
        self._serve()
        return future

    def _watched(self, future: OneCallbackFuture) -> Callable[..., None]:
        def add(callback: Callable[[Any], None], **options: Any) -> None:
            def called(done: OneCallbackFuture) -> None:
                self.cancelled = self.cancelled or done.cancelled()
                callback(done)

            OneCallbackFuture.add_done_callback(future, called, **options)

        return add

    def put(self, *messages: Message | BaseException) -> None:
        self.coming += messages
        self._serve()

    def _serve(self) -> None:
        future = self.outstanding
        if self.coming and future is not None and not future.done():
            message = self.coming.pop(0)
            if isinstance(message, BaseException):
                future.set_exception(message)
            else:
                future.set_result(message)


async def test_readers_that_give_up_change_nothing() -> None:
    """The server is asked once; what comes belongs to whoever waits then, in order."""
    server = Server()
    ahead = ReadAhead(server.receive)
    for _ in range(3):
        waiting = [asyncio.ensure_future(ahead.receive()) for _ in range(2)]
        await turn()
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    readers = [asyncio.ensure_future(ahead.receive()) for _ in range(3)]
    await turn()
    assert server.asked == 1
    for body in (b"a", b"b", b"c"):
        server.put(request(body))
        await turn()
    assert [(await reader)["body"] for reader in readers] == [b"a", b"b", b"c"]


async def test_nothing_is_read_ahead_unless_asked_for() -> None:
    """A receive without `watch` asks for one message."""
    server = Server(request(b"a"), request(b"b"))
    ahead = ReadAhead(server.receive)
    assert server.asked == 0
    assert (await ahead.receive())["body"] == b"a"
    await turn()
    assert server.asked == 1
    ahead.watch()
    await turn()
    assert server.asked == 2
    assert (await ahead.receive())["body"] == b"b"
    assert server.asked == 3


@pytest.mark.parametrize(
    ("options", "held"), [({}, 1), ({"messages": 3}, 3), ({"messages": 9, "size": 4}, 2), ({"messages": 9}, 5)]
)
async def test_what_is_held_is_bounded(options: dict[str, int], held: int) -> None:
    """In messages and in bytes; each message that is read makes room for another."""
    server = Server(*(request(b"%d" % number * 2) for number in range(5)))
    ahead = ReadAhead(server.receive, **options)
    ahead.watch()
    await turn()
    assert len(server.coming) == 5 - held
    assert [(await ahead.receive())["body"] for _ in range(5)] == [b"00", b"11", b"22", b"33", b"44"]


async def test_the_end_is_seen_behind_the_last_part_of_a_body() -> None:
    """But not behind a part that others follow."""
    server = Server(request(b"a"), request(b"b", more_body=False), DISCONNECT)
    ahead = ReadAhead(server.receive)
    ended = asyncio.ensure_future(ahead.wait_until_ended())
    await turn()
    assert not ended.done()
    assert (await ahead.receive())["body"] == b"a"
    assert await ended == DISCONNECT == ahead.ended
    assert (await ahead.receive())["body"] == b"b"
    assert await ahead.receive() == await ahead.receive() == DISCONNECT
    assert server.asked == 3


async def test_what_has_arrived_can_be_had_at_once() -> None:
    """Before the loop turns."""
    server = Server(DISCONNECT)
    ahead = ReadAhead(server.receive)
    ahead.watch()
    assert ahead.ended is None
    ahead.collect()
    assert ahead.ended == DISCONNECT
    await turn()
    assert server.asked == 1


async def test_close_tells_everybody_who_waits() -> None:
    """The server's receive is cancelled; what came before the end is still read first."""
    server = Server(request(b"a"))
    ahead = ReadAhead(server.receive, messages=2)
    ahead.watch()
    await turn()
    readers = [asyncio.ensure_future(ahead.receive()) for _ in range(2)]
    ended = asyncio.ensure_future(ahead.wait_until_ended())
    await turn()
    ahead.close(DISCONNECT)
    assert [await reader for reader in readers] == [request(b"a"), DISCONNECT]
    assert await ended == await ahead.receive() == DISCONNECT
    assert server.cancelled
    ahead.close({"type": "other.disconnect"})
    assert ahead.ended == DISCONNECT


async def test_release_waits_until_the_server_is_free() -> None:
    """Before a close is sent nobody may be reading."""
    freed = False

    async def receive() -> Message:
        nonlocal freed
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            freed = True
        raise AssertionError

    ahead = ReadAhead(receive)
    ahead.watch()
    await turn()
    await ahead.release()
    assert freed
    await ahead.release()


async def test_a_failure_is_raised_once_and_in_order() -> None:
    """To whoever reads; only then the server is asked again."""
    server = Server(request(b"a"), ValueError("broken"), request(b"b"))
    ahead = ReadAhead(server.receive, messages=9)
    ahead.watch()
    await turn()
    assert server.asked == 2
    assert (await ahead.receive())["body"] == b"a"
    with pytest.raises(ValueError, match="broken"):
        await ahead.receive()
    assert (await ahead.receive())["body"] == b"b"


async def test_a_receive_that_a_loop_cancels_ends_the_watch() -> None:
    """A loop that ends cancels all its tasks, and must not get new ones."""
    server = Server()
    ahead = ReadAhead(server.receive)
    ahead.watch()
    assert server.outstanding is not None
    server.outstanding.cancel()
    await turn()
    assert server.asked == 1


async def test_a_failure_that_nobody_reads_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """As the server would not have been asked."""
    gate = asyncio.Event()

    async def receive() -> Message:
        try:
            await gate.wait()
        finally:
            raise ValueError("while it was cancelled")

    ahead = ReadAhead(receive)
    ahead.watch()
    await turn()
    ahead.close(DISCONNECT)
    await turn()
    assert not caplog.records
