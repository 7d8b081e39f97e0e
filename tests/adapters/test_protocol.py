"""RSGI applications over ASGI's `receive` and `send` in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.memory import turn
from velithon_adapters import ASGIAdapter, RSGIAdapter, RSGIProtocol, RSGIScope
from velithon_adapters.rsgi import ProtocolClosed, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from velithon_adapters.asgi import Message, Receive, Send

pytestmark = pytest.mark.asyncio

DISCONNECT: dict[str, Any] = {"type": "http.disconnect"}


def request(body: bytes = b"", more_body: bool = False) -> dict[str, Any]:
    """Return a message with a piece of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more_body}


class Server:
    """An ASGI server in memory: gives the messages, then waits; writes down what was sent."""

    def __init__(self, *messages: dict[str, Any], **scope: Any) -> None:
        self.scope = {"type": "http", "method": "GET", "path": "/", "headers": [], **scope}
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        for message in messages or (request(),):
            self.messages.put_nowait(message)
        self.sent: list[Message] = []
        self.receiving = 0
        self.broken = False

    async def receive(self) -> Message:
        assert self.receiving == 0, "two receives at once"
        self.receiving += 1
        try:
            return await self.messages.get()
        finally:
            self.receiving -= 1

    async def send(self, message: Message) -> None:
        if self.broken:
            raise OSError("the client is gone")
        await asyncio.sleep(0)
        self.sent.append(message)

    async def run(self, app: Any) -> list[Message]:
        before = asyncio.all_tasks()
        try:
            await ASGIAdapter(app)(self.scope, self.receive, self.send)
        finally:
            await turn()
            assert asyncio.all_tasks() == before, "a task was left running"
        return self.sent

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


def answer(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> list[dict[str, Any]]:
    """Return the two messages of a response."""
    return [
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body, "more_body": False},
    ]


@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        (lambda p: p.response_empty(204, [("X-A", "1")]), answer(204, [(b"x-a", b"1")], b"")),
        (lambda p: p.response_empty(200, []), answer(200, [(b"content-length", b"0")], b"")),
        (
            lambda p: p.response_str(200, (("x-a", "é"), ("x-a", "2")), "é"),
            answer(200, [(b"x-a", "é".encode()), (b"x-a", b"2"), (b"content-length", b"2")], "é".encode()),
        ),
        (
            lambda p: p.response_bytes(201, [("content-length", "2")], bytearray(b"ok")),
            answer(201, [(b"content-length", b"2")], b"ok"),
        ),
        (lambda p: p.response_bytes(304, [], b"swallowed"), answer(304, [], b"")),
    ],
)
async def test_responses(respond: Callable[[Any], None], expected: list[dict[str, Any]]) -> None:
    """Each is two messages; the length is added, as Granian adds it."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        respond(protocol)

    assert await Server().run(app) == expected


async def test_head_has_the_length_and_no_body() -> None:
    """As hyper answers it."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_str(200, [], "four")

    assert await Server(method="HEAD").run(app) == answer(200, [(b"content-length", b"4")], b"")

    async def empty(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_empty(200, [])

    assert await Server(method="HEAD").run(empty) == answer(200, [], b"")


async def test_scope_is_a_view_of_the_dictionary() -> None:
    """What an ASGI layer changed before shows."""
    server = Server(path="/a", query_string=b"x=1", headers=[(b"x-a", b"1")])

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        assert scope.asgi is server.scope
        protocol.response_str(200, [], f"{scope.path}?{scope.query_string} {scope.headers.get('X-A')}")

    await server.run(app)
    assert server.body == b"/a?x=1 1"


async def test_body_whole_and_in_chunks() -> None:
    """Once, one way or the other."""
    chunks = [request(b"a", more_body=True), request(b"", more_body=True), request(b"b")]

    async def whole(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        body = await protocol()
        with pytest.raises(ProtocolError):
            await protocol()
        with pytest.raises(ProtocolError):
            aiter(protocol)
        protocol.response_bytes(200, [], body)

    async def parts(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_str(200, [], repr([chunk async for chunk in protocol]))

    server = Server(*chunks)
    await server.run(whole)
    assert server.body == b"ab"
    server = Server(*chunks)
    await server.run(parts)
    assert server.body == b"[b'a', b'b']"


async def test_broken_off_body_raises() -> None:
    """No truncated upload is taken for a whole one; nobody is answered."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        with pytest.raises(ProtocolClosed):
            await protocol()

    assert await Server(request(b"a", more_body=True), DISCONNECT).run(app) == []


async def test_second_response_is_ignored() -> None:
    """As on Granian, where only a second stream raises."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_str(200, [], "one")
        protocol.response_str(500, [], "two")
        with pytest.raises(ProtocolError):
            protocol.response_stream(200, [])

    server = Server()
    await server.run(app)
    assert server.body == b"one"


async def test_impossible_status_raises() -> None:
    """At the call, where the mistake is."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        with pytest.raises(RuntimeError, match="Invalid HTTP status code 99"):
            protocol.response_empty(99, [])
        protocol.response_empty(200, [])

    assert len(await Server().run(app)) == 2


async def test_no_response_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """As on Granian; with a line in the log."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        return

    assert await Server().run(app) == answer(500, [(b"content-length", b"0")], b"")
    assert "RSGI callable returned without a response." in caplog.text


async def test_response_is_on_its_way_before_the_application_returns() -> None:
    """What runs after the response does not hold it up."""
    server = Server()

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_str(200, [], "early")
        await turn()
        assert server.body == b"early"

    await server.run(app)
    assert len(server.sent) == 2


async def test_response_that_is_being_sent_when_the_application_returns() -> None:
    """It is sent whole, once."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_str(200, [], "x")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    server = Server()
    await server.run(app)
    assert len(server.sent) == 2


async def test_stream_streams() -> None:
    """A chunk is at the server when `send_bytes` returns; the end comes with the application's."""
    server = Server()
    kept: list[Any] = []

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        transport = protocol.response_stream(200, [("x-a", "1")])
        kept.append(transport)
        await transport.send_bytes(b"a")
        assert server.sent == [
            {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]},
            {"type": "http.response.body", "body": b"a", "more_body": True},
        ]
        await transport.send_str("é")
        await transport.send_bytes(b"")

    await server.run(app)
    assert server.sent[2:] == [
        {"type": "http.response.body", "body": "é".encode(), "more_body": True},
        {"type": "http.response.body", "body": b"", "more_body": False},
    ]
    with pytest.raises(ProtocolClosed):
        await kept[0].send_bytes(b"late")


async def test_nothing_is_sent_behind_the_end_of_a_stream() -> None:
    """A task that goes on sending when the application has returned is told that the response is closed."""
    tasks: list[asyncio.Task[None]] = []

    async def go_on(transport: Any) -> None:
        while True:
            await transport.send_bytes(b"x")

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        transport = protocol.response_stream(200, [])
        tasks.append(asyncio.ensure_future(go_on(transport)))
        await turn()

    sent = await Server().run(app)
    assert [message["more_body"] for message in sent[1:]] == [True] * (len(sent) - 2) + [False]
    with pytest.raises(ProtocolClosed):
        await tasks[0]


async def test_stream_headers_do_not_wait() -> None:
    """They go out before the first chunk is there."""
    server = Server()

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        transport = protocol.response_stream(200, [])
        await turn()
        assert len(server.sent) == 1
        await transport.send_bytes(b"x")

    await server.run(app)
    assert server.body == b"x"


async def test_streamed_answer_to_head() -> None:
    """No chunk is sent."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        await protocol.response_stream(200, []).send_bytes(b"x")

    assert await Server(method="HEAD").run(app) == answer(200, [], b"")


async def test_stream_learns_that_the_client_left() -> None:
    """From `receive`, where the server's `send` falls silent; the body may be read meanwhile."""
    server = Server(request(b"a", more_body=True), request(b"b"))
    sent = 0

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        nonlocal sent
        transport = protocol.response_stream(200, [])
        async for chunk in protocol:
            await transport.send_bytes(chunk)
        server.messages.put_nowait(DISCONNECT)
        try:
            while sent < 10:
                await transport.send_bytes(b"x")
                sent += 1
        except ProtocolClosed:
            server.messages.put_nowait(DISCONNECT)

    await server.run(app)
    assert not server.messages.empty()
    assert server.body.startswith(b"ab")


async def test_stream_learns_from_a_server_that_raises() -> None:
    """ASGI 2.4."""
    server = Server()

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        transport = protocol.response_stream(200, [])
        await transport.send_bytes(b"x")
        server.broken = True
        with pytest.raises(ProtocolClosed):
            await transport.send_bytes(b"x")

    await server.run(app)


async def test_exception_goes_to_the_server() -> None:
    """What was answered before is sent; a stream is left without its end."""

    async def early(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        raise ValueError("boom")

    async def late(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_str(200, [], "x")
        raise ValueError("boom")

    async def streaming(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        await protocol.response_stream(200, []).send_bytes(b"x")
        raise ValueError("boom")

    for app, expected in ((early, 0), (late, 2), (streaming, 2)):
        server = Server()
        with pytest.raises(ValueError, match="boom"):
            await server.run(app)
        assert len(server.sent) == expected
    assert server.sent[-1]["more_body"]


async def test_client_disconnect_resolves() -> None:
    """For everybody who waits, and at once for who asks later."""
    server = Server()

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        first, second, third = (protocol.client_disconnect() for _ in range(3))
        await turn()
        assert not first.done()
        third.cancel()
        server.messages.put_nowait(DISCONNECT)
        await first
        await second
        await protocol.client_disconnect()

    assert await server.run(app) == []


async def test_client_disconnect_is_let_go_of() -> None:
    """An application that forgets to cancel it leaves nothing behind."""
    kept: list[Any] = []

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        kept.append(protocol.client_disconnect())
        protocol.response_empty(200, [])

    await Server().run(app)
    assert kept[0].cancelled()


async def test_waiting_for_a_disconnect_reads_one_chunk_ahead() -> None:
    """An upload is not gathered in memory."""
    server = Server(*(request(b"%d" % i, more_body=True) for i in range(5)), request(b"5"))

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        gone = protocol.client_disconnect()
        await turn()
        assert server.messages.qsize() == 5
        assert await protocol() == b"012345"
        await turn()
        assert not gone.done()
        server.messages.put_nowait(DISCONNECT)
        await gone

    await server.run(app)


async def test_disconnect_while_a_chunk_is_awaited() -> None:
    """Reader and watcher share what comes."""
    server = Server(request(b"a", more_body=True))

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        chunks = aiter(protocol)
        assert await anext(chunks) == b"a"
        reading = asyncio.ensure_future(anext(chunks))
        await turn()
        gone = protocol.client_disconnect()
        await turn()
        server.messages.put_nowait(DISCONNECT)
        await gone
        with pytest.raises(ProtocolClosed):
            await reading

    await server.run(app)


async def test_end_of_the_body_that_the_watcher_took() -> None:
    """The reader does not go on to wait for the disconnect."""
    server = Server(request(b"a", more_body=True))

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.client_disconnect()
        chunks = aiter(protocol)
        await turn()
        assert await anext(chunks) == b"a"
        await turn()
        reading = asyncio.ensure_future(anext(chunks))
        await turn()
        server.messages.put_nowait(request())
        with pytest.raises(StopAsyncIteration):
            await reading
        protocol.response_empty(200, [])

    assert len(await server.run(app)) == 2


# Files


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file of 600,000 bytes: three reads."""
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(range(250)) * 2400)
    return str(path)


async def test_file_in_chunks(file: str) -> None:
    """Read in threads, in pieces."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_file(200, [("content-length", "600000")], file)

    server = Server()
    sent = await server.run(app)
    assert server.body == bytes(range(250)) * 2400
    assert [len(message["body"]) for message in sent[1:]] == [262144, 262144, 75712, 0]
    assert sent[0]["headers"] == [(b"content-length", b"600000")]


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 300_000), (0, 262_145), (599_999, 600_000), (599_999, 700_000)])
async def test_file_ranges(file: str, start: int, end: int) -> None:
    """The end is exclusive; a range that reaches past the file ends with it."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_file_range(206, [], file, start, end)

    server = Server(extensions={"http.response.pathsend": {}})
    await server.run(app)
    assert server.body == (bytes(range(250)) * 2400)[start:end]
    assert server.sent[-1]["more_body"] is False


@pytest.mark.parametrize(("start", "end"), [(5, 5), (5, 2), (-1, 2)])
async def test_impossible_ranges(file: str, start: int, end: int) -> None:
    """Granian's exception; another response may follow."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        with pytest.raises(ValueError, match="Invalid range"):
            protocol.response_file_range(206, [], file, start, end)
        protocol.response_empty(416, [])

    assert (await Server().run(app))[0]["status"] == 416


async def test_file_where_the_server_can_read_it(file: str) -> None:
    """By `http.response.pathsend`."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_file(200, [], file)

    sent = await Server(extensions={"http.response.pathsend": {}}).run(app)
    assert sent[1:] == [{"type": "http.response.pathsend", "path": file}]


async def test_missing_file_is_a_404(file: str) -> None:
    """As Granian answers it."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_file(200, [], file + ".no")

    assert await Server().run(app) == answer(404, [(b"content-length", b"9")], b"Not found")


async def test_head_of_a_file(file: str) -> None:
    """The headers, and nothing read."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_file(200, [("content-length", "600000")], file)

    assert await Server(method="HEAD").run(app) == answer(200, [(b"content-length", b"600000")], b"")


async def test_file_stops_when_the_client_leaves(file: str) -> None:
    """No reading on for nobody."""

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_file(200, [], file)

    server = Server()
    server.broken = True
    assert await server.run(app) == []


# The adapter's other halves


async def test_asgi_over_rsgi_over_asgi_is_asgi() -> None:
    """The inner application has the server's own `receive` and `send`."""
    server = Server()
    seen: list[Any] = []

    async def inner(scope: Message, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))
        for message in answer(200, [], b"x"):
            await send(message)

    assert await server.run(RSGIAdapter(inner)) == answer(200, [], b"x")
    assert seen == [(server.scope, server.receive, server.send)]


async def test_used_protocol_is_not_unwrapped() -> None:
    """Who read the body before goes on being asked for it."""

    async def inner(scope: Message, receive: Receive, send: Send) -> None:
        for message in answer(200, [], b"x"):
            await send(message)

    async def layer(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        await protocol()
        await RSGIAdapter(inner).__rsgi__(scope, protocol)

    server = Server()
    await server.run(layer)
    assert server.body == b"x"


async def test_unknown_scope_type() -> None:
    """The error names it."""
    with pytest.raises(RuntimeError, match="Unknown ASGI scope type 'webtransport'"):
        await Server(type="webtransport").run(None)


class Hooked:
    """An RSGI application with both hooks, which do what RSGI hooks do to a loop."""

    def __init__(self, fail: BaseException | None = None, phase: str = "init") -> None:
        self.events: list[Any] = []
        self.fail = fail
        self.phase = phase

    def __rsgi_init__(self, loop: Any) -> None:
        assert not loop.is_running()
        assert loop.time() > 0
        self.events.append(loop.run_until_complete(self.work("init")))
        task = loop.create_task(self.work("task"), name="mine")
        self.events.append(loop.run_until_complete(task))
        future = loop.create_future()
        loop.call_soon(future.set_result, "soon")
        self.events.append(loop.run_until_complete(future))

    def __rsgi_del__(self, loop: Any) -> None:
        self.events.append(loop.run_until_complete(self.work("del")))

    async def work(self, name: str) -> str:
        await asyncio.sleep(0)
        if self.fail is not None and self.phase == name:
            raise self.fail
        return name

    async def __rsgi__(self, scope: RSGIScope, protocol: RSGIProtocol) -> None:
        protocol.response_empty(200, [])


async def test_hooks_run_on_the_lifespan() -> None:
    """`run_until_complete` works in them although the loop runs."""
    app = Hooked()
    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}, type="lifespan")
    assert await server.run(app) == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    assert app.events == ["init", "task", "soon", "del"]


async def test_application_without_hooks_has_a_lifespan() -> None:
    """An empty one."""
    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}, type="lifespan")

    async def app(scope: RSGIScope, protocol: RSGIProtocol) -> None:
        raise AssertionError

    assert await server.run(app) == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


@pytest.mark.parametrize(("phase", "name"), [("init", "startup"), ("del", "shutdown")])
async def test_failing_hooks_are_reported(phase: str, name: str) -> None:
    """The message names the hook and the exception, which is raised on."""
    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}, type="lifespan")
    with pytest.raises(ValueError, match="boom"):
        await server.run(Hooked(ValueError("boom"), phase))
    assert server.sent[-1] == {
        "type": f"lifespan.{name}.failed",
        "message": f"__rsgi_{phase}__ raised ValueError('boom')",
    }


async def test_hook_that_exits_fails_the_startup(caplog: pytest.LogCaptureFixture) -> None:
    """It ends neither the loop nor the interpreter from inside a thread."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    server = Server({"type": "lifespan.startup"}, type="lifespan")
    await server.run(RSGIAdapter(app))
    assert server.sent == [{"type": "lifespan.startup.failed", "message": "__rsgi_init__ raised SystemExit(1)"}]
    assert "Application startup failed: no database" in caplog.text
