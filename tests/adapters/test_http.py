"""ASGI's `receive` and `send` over an RSGI protocol in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.memory import Headers, Protocol, Scope, turn
from velithon_adapters import ASGIAdapter, HTTPReceive, HTTPSend, RSGIAdapter, RSGIProtocol, rsgi_headers, unwrap
from velithon_adapters.rsgi import ProtocolClosed, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from velithon_adapters.asgi import Message, Receive, Send

pytestmark = pytest.mark.asyncio

DISCONNECT = {"type": "http.disconnect"}


def part(body: bytes = b"", more_body: bool = False) -> dict[str, Any]:
    """Return a message with a piece of a response's body."""
    return {"type": "http.response.body", "body": body, "more_body": more_body}


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """Return the message that starts a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def request(body: bytes = b"", more_body: bool = False) -> dict[str, Any]:
    """Return a message with a piece of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more_body}


async def run(
    app: Callable[[dict[str, Any], Receive, Send], Awaitable[None]], protocol: Protocol, **scope: Any
) -> list[tuple[Any, ...]]:
    """Run an ASGI application over the protocol; return what it responded."""
    await RSGIAdapter(app).__rsgi__(Scope(**scope), protocol)
    assert all(future.done() for future in protocol.gone), "client_disconnect() was left running"
    return protocol.calls


def sends(*messages: dict[str, Any]) -> Callable[..., Awaitable[None]]:
    """Return an application that sends these messages."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def test_body_arrives_in_chunks_as_sent() -> None:
    """Nothing is gathered; without a declared length an empty message ends the body."""
    protocol = Protocol(b"one")
    receive = HTTPReceive(protocol)
    assert await receive() == request(b"one", more_body=True)
    pending = asyncio.ensure_future(receive())
    await turn()
    assert not pending.done()
    protocol.body.put_nowait(b"")
    protocol.body.put_nowait(b"two")
    assert await pending == request(b"two", more_body=True)
    protocol.end()
    assert await receive() == request()
    assert protocol.asked == 1


async def test_declared_length_marks_the_last_chunk() -> None:
    """No further read is needed to know that the body is whole."""
    receive = HTTPReceive(Protocol(b"abc", b"de"), 5)
    assert await receive() == request(b"abc", more_body=True)
    assert await receive() == request(b"de")


async def test_request_without_a_body_leaves_the_protocol_alone() -> None:
    """A GET costs no read."""
    protocol = Protocol()
    assert await HTTPReceive(protocol, 0)() == request()
    assert protocol.asked == 0


async def test_broken_off_body_is_a_disconnect() -> None:
    """Granian ends the iteration as if the body were complete; the declared length tells."""
    receive = HTTPReceive(Protocol(b"abc").end(), 5)
    assert await receive() == request(b"abc", more_body=True)
    assert await receive() == DISCONNECT
    assert await receive() == DISCONNECT


async def test_closed_protocol_is_a_disconnect() -> None:
    """Where the server says so itself."""
    receive = HTTPReceive(Protocol(ProtocolClosed("closed")))
    assert await receive() == DISCONNECT


async def test_body_read_past_the_adapter_raises() -> None:
    """That is a mistake of the application, not a disconnect."""
    protocol = Protocol(b"x").end()
    await protocol()
    with pytest.raises(ProtocolError):
        await HTTPReceive(protocol)()


@pytest.mark.parametrize("length", [0, None])
async def test_disconnect_after_the_body(length: int | None) -> None:
    """`receive` waits for the client to go, and keeps saying so."""
    protocol = Protocol().end()
    receive = HTTPReceive(protocol, length)
    assert await receive() == request()
    waiting = [asyncio.ensure_future(receive()), asyncio.ensure_future(receive())]
    await turn()
    assert len(protocol.gone) == 1
    protocol.leave()
    assert await asyncio.gather(*waiting) == [DISCONNECT, DISCONNECT]
    assert await receive() == DISCONNECT


async def test_done_response_is_a_disconnect() -> None:
    """Whoever waits is freed, and the server's future is cancelled at once."""
    protocol = Protocol()
    receive = HTTPReceive(protocol, 0)
    send = HTTPSend(protocol, receive=receive)
    await receive()
    waiting = asyncio.ensure_future(receive())
    await turn()
    assert not waiting.done()
    await send(start())
    await send(part(b"x"))
    assert protocol.gone[0].cancelled()
    assert await waiting == DISCONNECT


async def test_cancelled_waits_share_the_servers_future_until_the_end() -> None:
    """Who polls cancels each wait, and the server tells some turns after the client left."""
    protocol = Protocol()
    receive = HTTPReceive(protocol, 0)
    await receive()
    for _ in range(2):
        waiting = asyncio.ensure_future(receive())
        await turn()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not protocol.gone[-1].cancelled()
    assert len(protocol.gone) == 1
    waiting = asyncio.ensure_future(receive())
    await turn()
    protocol.leave()
    assert await waiting == DISCONNECT


async def test_closing_cancels_the_servers_future() -> None:
    protocol = Protocol()
    receive = HTTPReceive(protocol, 0)
    await receive()
    waiting = asyncio.ensure_future(receive())
    await turn()
    waiting.cancel()
    receive.close()
    assert protocol.gone[-1].cancelled()


async def test_one_cancelled_wait_leaves_the_other() -> None:
    """Two layers may wait at the same time."""
    protocol = Protocol()
    receive = HTTPReceive(protocol, 0)
    await receive()
    first, second = asyncio.ensure_future(receive()), asyncio.ensure_future(receive())
    await turn()
    first.cancel()
    await turn()
    assert not protocol.gone[0].done()
    protocol.leave()
    assert await second == DISCONNECT


async def test_single_body_is_one_call() -> None:
    """Headers keep order and duplicates; names and values are text."""
    headers = [(b"X-A", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-length", b"2")]
    calls = await run(sends(start(201, *headers), part(b"ok")), Protocol())
    names = [("x-a", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("content-length", "2")]
    assert calls == [("bytes", 201, names, b"ok")]


@pytest.mark.parametrize("body", [bytearray(b"ok"), memoryview(b"ok")])
async def test_bytes_like_bodies(body: Any) -> None:
    """Starlette sends memoryviews."""
    assert await run(sends(start(), part(body)), Protocol()) == [("bytes", 200, [], b"ok")]
    calls = await run(sends(start(), part(body, more_body=True), part()), Protocol())
    assert calls == [("stream", 200, []), ("chunk", b"ok")]


async def test_empty_body_is_an_empty_response() -> None:
    """Both keys of the body's message are optional."""
    assert await run(sends(start(), {"type": "http.response.body"}), Protocol()) == [("empty", 200, [])]


async def test_stream_streams() -> None:
    """Each chunk is handed over when it is sent; empty ones are not."""
    protocol = Protocol()
    send = HTTPSend(protocol)
    await send(start())
    await send(part(b"a", more_body=True))
    assert protocol.calls == [("stream", 200, []), ("chunk", b"a")]
    await send(part(b"", more_body=True))
    await send(part(b"b", more_body=True))
    assert protocol.calls[2:] == [("chunk", b"b")]
    assert not send.complete
    await send(part(b"c"))
    assert protocol.calls[3:] == [("chunk", b"c")]
    assert send.complete


async def test_headers_do_not_wait_for_the_first_event() -> None:
    """A stream that starts and then waits has its headers sent."""
    protocol = Protocol()
    send = HTTPSend(protocol)
    await send(start())
    assert protocol.calls == []
    async with asyncio.timeout(10):
        while not protocol.calls:
            await asyncio.sleep(0.001)
    assert protocol.calls == [("stream", 200, [])]
    await send(part(b"event"))
    assert protocol.calls[1:] == [("chunk", b"event")]


async def test_late_start_loses_to_another_answer() -> None:
    """Somebody answered past `send`: the first answer stands, what follows is dropped."""
    protocol = Protocol()
    send = HTTPSend(protocol)
    await send(start())
    protocol.response_empty(500, [])
    async with asyncio.timeout(10):
        while not send.sent:
            await asyncio.sleep(0.001)
    await send(part(b"x", more_body=True))
    await send(part(b"x"))
    assert protocol.calls == [("empty", 500, [])]


async def test_message_of_a_cancelled_timer_is_harmless() -> None:
    """The timer may be due in the same turn in which the body comes."""
    protocol = Protocol()
    send = HTTPSend(protocol)
    await send(start())
    await send(part(b"x"))
    send._open_stream()
    assert protocol.calls == [("bytes", 200, [], b"x")]


@pytest.mark.parametrize(
    ("status", "method", "headers", "expected"),
    [
        (200, "HEAD", [(b"content-length", b"7")], [("content-length", "7")]),
        (200, "HEAD", [], [("content-length", "4")]),
        (204, "GET", [(b"content-length", b"0"), (b"x-a", b"1")], [("x-a", "1")]),
        (204, "HEAD", [], []),
        (304, "GET", [(b"etag", b"x")], [("etag", "x")]),
    ],
)
async def test_head_204_and_304_carry_no_body(
    status: int, method: str, headers: list[tuple[bytes, bytes]], expected: list[tuple[str, str]]
) -> None:
    """What the application sends is swallowed; HEAD keeps the length that GET would have."""
    assert await run(sends(start(status, *headers), part(b"body")), Protocol(), method=method) == [
        ("empty", status, expected)
    ]


async def test_an_answer_to_head_that_comes_late_is_no_stream() -> None:
    """However long the body takes whose length is told."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await asyncio.sleep(0.02)
        await send(part(b"body"))

    assert await run(app, Protocol(), method="HEAD") == [("empty", 200, [("content-length", "4")])]


async def test_streamed_answer_to_head() -> None:
    """Headers go out with the first chunk; no length is invented."""
    calls = await run(sends(start(), part(b"a", more_body=True), part(b"b")), Protocol(), method="HEAD")
    assert calls == [("empty", 200, [])]


async def test_pathsend_is_a_file(tmp_path: Path) -> None:
    """The server reads the file; `os.PathLike` is accepted; HEAD gets the headers."""
    message = {"type": "http.response.pathsend", "path": tmp_path}
    head = start(200, (b"content-length", b"3"))
    headers = [("content-length", "3")]
    assert await run(sends(head, message), Protocol()) == [("file", 200, headers, str(tmp_path))]
    assert await run(sends(head, message), Protocol(), method="HEAD") == [("empty", 200, headers)]


@pytest.mark.parametrize("status", [99, 100, 101, 103, 199, 600, 999, 1000])
async def test_impossible_status_raises(status: int) -> None:
    """Below 100 it would end Granian's worker."""
    protocol = Protocol()
    with pytest.raises(RuntimeError, match=f"Invalid HTTP status code {status}"):
        await run(sends(start(status)), protocol)
    assert protocol.calls[0][:2] == ("bytes", 500)


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\n", b"\xc3\xa9"])
async def test_invalid_header_names_raise(name: bytes) -> None:
    """Granian would leave the header out."""
    with pytest.raises(RuntimeError, match="Invalid HTTP header name"):
        rsgi_headers([(name, b"x")])


@pytest.mark.parametrize("value", [b"a\nb", b"a\r\nset-cookie: x", b"\x00", b"\x7f"])
async def test_invalid_header_values_raise(value: bytes) -> None:
    """No response splitting, no silent loss."""
    with pytest.raises(RuntimeError, match="Invalid HTTP header value"):
        rsgi_headers([(b"x", value)])


async def test_header_values_outside_ascii() -> None:
    """The server writes UTF-8: UTF-8 stays what it is, Latin-1 keeps its characters."""
    assert rsgi_headers([(b"A", "é".encode()), (b"b", b"\xe9\t")]) == [("a", "é"), ("b", "é\t")]


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([part()], "Expected ASGI message 'http.response.start', but got 'http.response.body'"),
        ([start(), start()], "Expected ASGI message 'http.response.body', but got 'http.response.start'"),
        ([start(), part(), part()], "Unexpected ASGI message 'http.response.body' sent, after response already"),
        ([start(), {"type": "http.response.trailers"}], "but got 'http.response.trailers'"),
        (
            [start(), part(b"x", more_body=True), {"type": "http.response.pathsend", "path": "/"}],
            "but got 'http.response.pathsend'",
        ),
        ([start(200, (b"content-length", b"2")), part(b"abc")], "Response content longer than Content-Length"),
        ([start(200, (b"content-length", b"4")), part(b"abc")], "Response content shorter than Content-Length"),
        (
            [start(200, (b"content-length", b"4")), part(b"abc", more_body=True), part(b"de", more_body=True)],
            "Response content longer than Content-Length",
        ),
        (
            [start(200, (b"content-length", b"4")), part(b"abc", more_body=True), part()],
            "Response content shorter than Content-Length",
        ),
        ([start(200, (b"content-length", b"-1"))], "Invalid content-length: '-1'"),
    ],
)
async def test_misuse_raises_in_the_application(messages: list[dict[str, Any]], error: str) -> None:
    """As on Uvicorn."""
    with pytest.raises(RuntimeError, match=error):
        await run(sends(*messages), Protocol())


async def test_exception_before_the_response_is_a_500() -> None:
    """It is raised on to the server, which logs it."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        raise ValueError("boom")

    protocol = Protocol()
    with pytest.raises(ValueError, match="boom"):
        await run(app, protocol)
    headers = [("content-type", "text/plain; charset=utf-8")]
    assert protocol.calls == [("bytes", 500, headers, b"Internal Server Error")]


async def test_exception_after_the_start_only_is_a_500_too() -> None:
    """Nothing has been sent yet, so the client learns of it."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        raise ValueError("boom")

    protocol = Protocol()
    with pytest.raises(ValueError, match="boom"):
        await run(app, protocol)
    assert protocol.calls[0][:2] == ("bytes", 500)


async def test_exception_in_a_stream_ends_it() -> None:
    """What was sent stays sent."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(part(b"x", more_body=True))
        raise ValueError("boom")

    protocol = Protocol()
    with pytest.raises(ValueError, match="boom"):
        await run(app, protocol)
    assert protocol.calls == [("stream", 200, []), ("chunk", b"x")]


async def test_no_response_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """And a line in the log."""
    assert (await run(sends(), Protocol()))[0][:2] == ("bytes", 500)
    assert "ASGI callable returned without starting response." in caplog.text


async def test_incomplete_response_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The stream ends."""
    calls = await run(sends(start(), part(b"x", more_body=True)), Protocol())
    assert calls == [("stream", 200, []), ("chunk", b"x")]
    assert "ASGI callable returned without completing response." in caplog.text


async def test_sends_after_the_client_left_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """As on Uvicorn: no exception, no complaint about an incomplete response or a short one."""
    protocol = Protocol()
    protocol.broken = True
    head = start(200, (b"content-length", b"9"))
    messages = [head, part(b"a", more_body=True), part(b"b", more_body=True)]
    assert await run(sends(*messages), protocol) == [("stream", 200, [("content-length", "9")])]
    protocol = Protocol()
    protocol.broken = True
    await run(sends(*messages, part(b"c")), protocol)
    assert caplog.records == []


async def test_sends_after_the_end_of_the_application_are_dropped() -> None:
    """A task that it left behind has no response to write to."""
    protocol = Protocol()
    send = HTTPSend(protocol)
    await send(start())
    await send(part(b"a", more_body=True))
    send._release()
    await send(part(b"b", more_body=True))
    assert protocol.calls == [("stream", 200, []), ("chunk", b"a")]


async def test_application_that_stops_on_disconnect_is_not_blamed(caplog: pytest.LogCaptureFixture) -> None:
    """It returns without a response, as there is nobody to get it."""
    protocol = Protocol()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        asyncio.get_running_loop().call_soon(protocol.leave)
        assert await receive() == DISCONNECT

    assert await run(app, protocol) == []
    assert caplog.records == []


async def test_scope_state_is_a_copy_for_each_request() -> None:
    """What one request adds, the next does not see."""
    seen = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        seen.append(dict(scope["state"]))
        scope["state"]["mine"] = True
        await send(start())
        await send(part())

    adapter = RSGIAdapter(app, root_path="/api")
    adapter.lifespan.state["pool"] = 1
    for _ in range(2):
        await adapter.__rsgi__(Scope(), Protocol())
    assert seen == [{"pool": 1}, {"pool": 1}]


async def test_upload_reaches_the_application() -> None:
    """The declared length is read off the scope."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["headers"] == [(b"content-length", b"4")]
        assert await receive() == request(b"ab", more_body=True)
        assert await receive() == request(b"cd")
        await send(start())
        await send(part(b"done"))

    protocol = Protocol(b"ab", b"cd")
    calls = await run(app, protocol, method="POST", headers=Headers([("content-length", "4")]))
    assert calls == [("bytes", 200, [], b"done")]


# Wrappers that are taken off again


async def test_untouched_wrappers_come_off() -> None:
    """RSGI over ASGI over RSGI: the inner application has the server's own protocol."""
    protocol = Protocol()
    seen: list[Any] = []

    async def inner(scope: Any, given: Any) -> None:
        seen.append((scope.path, given))
        given.response_str(200, [], "x")

    outer = RSGIAdapter(ASGIAdapter(inner))
    await outer.__rsgi__(Scope(path="/a"), protocol)
    assert seen == [("/a", protocol)]
    assert protocol.calls == [("str", 200, [], "x")]


async def test_exception_behind_a_wrapper_that_came_off() -> None:
    """The bridge does not answer for who has the protocol; the server does."""

    async def inner(scope: Any, given: Any) -> None:
        raise ValueError("boom")

    protocol = Protocol()
    with pytest.raises(ValueError, match="boom"):
        await RSGIAdapter(ASGIAdapter(inner)).__rsgi__(Scope(), protocol)
    assert protocol.calls == []


async def test_used_or_foreign_wrappers_stay_on() -> None:
    """Who reads or answers through them must go on doing so."""
    protocol, other = Protocol(), Protocol()
    receive, send = HTTPReceive(protocol, 0), HTTPSend(protocol)
    assert unwrap(HTTPReceive(other, 0), send) is None
    assert unwrap(receive, other) is None  # type: ignore[arg-type]
    assert unwrap(other, send) is None  # type: ignore[arg-type]
    await receive()
    assert unwrap(receive, send) is None
    receive = HTTPReceive(protocol, 0)
    assert unwrap(receive, send) is protocol
    await send(start())
    assert unwrap(receive, send) is None
    send._release()

    wrapped = RSGIProtocol({"method": "GET"}, receive, send)
    assert unwrap(wrapped) == (receive, send)
    wrapped = RSGIProtocol({"method": "GET"}, receive, send)
    wrapped.response_empty(200, [])
    assert unwrap(wrapped) is None
    wrapped._abandon()
    assert unwrap(object()) is None  # type: ignore[call-overload]
