"""WebSockets, both ways, in memory."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.adapters.memory import Scope, Websocket, turn
from velithon_adapters import ASGIAdapter, ASGIWebsocket, ClientDisconnected, RSGIAdapter, websocket
from velithon_adapters.rsgi import ProtocolClosed, ProtocolError, WebsocketMessageType
from velithon_adapters.websocket import RSGIMessage

if TYPE_CHECKING:
    from velithon_adapters import RSGIScope, RSGIWebsocketProtocol
    from velithon_adapters.asgi import Message, Receive, Send

pytestmark = pytest.mark.asyncio

CONNECT: dict[str, Any] = {"type": "websocket.connect"}
ACCEPT: dict[str, Any] = {"type": "websocket.accept", "subprotocol": None, "headers": []}
CLOSED = {"type": "websocket.close", "code": 1000}


def text(data: str) -> dict[str, Any]:
    """Return the message that sends text."""
    return {"type": "websocket.send", "text": data}


async def connected(protocol: Websocket) -> ASGIWebsocket:
    """Return ASGI's side of an accepted WebSocket."""
    asgi = ASGIWebsocket(protocol)
    assert await asgi.receive() == CONNECT
    await asgi.send(ACCEPT)
    return asgi


# ASGI over RSGI


async def test_echo_of_text_and_binary() -> None:
    """Empty messages are messages, too; the client's close is 1005, as RSGI tells no code."""
    protocol = Websocket("hé", b"\x00\xff", "", b"", None)
    ends: list[int] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message["code"])
                await socket.send({**message, "type": "websocket.send"})
        except WebSocketDisconnect as exc:
            ends.append(exc.code)

    await RSGIAdapter(app).__rsgi__(Scope(proto="ws"), protocol)
    assert protocol.sent == ["hé", b"\x00\xff", "", b""]
    assert ends == [1005]
    assert protocol.closes == []


async def test_disconnect_is_told_again() -> None:
    """Whoever asks after the end gets an answer."""
    asgi = await connected(Websocket(None))
    for _ in range(2):
        assert await asgi.receive() == {"type": "websocket.disconnect", "code": 1005, "reason": ""}


async def test_broken_connection_is_1006() -> None:
    """There was no close frame."""
    asgi = await connected(Websocket(ProtocolClosed("closed")))
    assert (await asgi.receive())["code"] == 1006


async def test_other_failures_of_the_server_come_through() -> None:
    """They are no end of the connection, and nobody waits for ever."""
    asgi = await connected(Websocket(ZeroDivisionError("the server's")))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await asgi.receive()


async def test_transport_of_a_broken_connection_is_let_go_of() -> None:
    """Granian ends the connection when its transport is freed; no garbage collection has to run for that."""

    class Broken(Websocket):
        def receive(self) -> asyncio.Future[Any]:  # type: ignore[override]
            failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            failed.set_exception(ProtocolClosed("closed"))
            return failed

    protocol = Broken()
    asgi = await connected(protocol)
    transport = weakref.ref(protocol)
    gc.disable()
    try:
        assert (await asgi.receive())["code"] == 1006
        await asgi.__aexit__(None, None, None)
        del protocol, asgi
        assert transport() is None
    finally:
        gc.enable()


async def test_transport_of_a_connection_that_was_closed_is_let_go_of() -> None:
    """The client sees the close while the application goes on, also while a task receives."""

    class Transport(Websocket):
        def receive(self) -> asyncio.Future[Any]:  # type: ignore[override]
            return asyncio.get_running_loop().create_future()

    class Protocol(Websocket):
        async def accept(self) -> Websocket:
            return Transport()

    for receives in (False, True):
        asgi = await connected(Protocol())
        assert asgi.connection.transport is not None
        transport = weakref.ref(asgi.connection.transport)
        receiving = asyncio.ensure_future(asgi.receive()) if receives else None
        await turn()
        gc.disable()
        try:
            await asgi.send(CLOSED)
            await turn()
            assert transport() is None
        finally:
            gc.enable()
        assert asgi.accepted
        if receiving is not None:
            assert (await receiving)["code"] == 1000


async def test_who_only_sends_learns_that_the_client_left() -> None:
    """As on Uvicorn: `send` raises, and Starlette makes a WebSocketDisconnect of it."""
    for end, code in ((None, 1005), (ProtocolClosed("closed"), 1006)):
        protocol = Websocket()
        asgi = await connected(protocol)
        await asgi.send(text("1"))
        await turn()
        await asgi.send(text("2"))
        protocol.messages.put_nowait(end)
        await turn()
        with pytest.raises(ClientDisconnected):
            await asgi.send(text("3"))
        await asgi.send({"type": "websocket.close"})
        assert protocol.sent == ["1", "2"]
        assert (await asgi.receive())["code"] == code


async def test_message_that_came_while_sending_is_not_lost() -> None:
    """It waits for the next `receive`."""
    protocol = Websocket()
    asgi = await connected(protocol)
    await asgi.send(text("1"))
    protocol.messages.put_nowait("a")
    await turn()
    await asgi.send(text("2"))
    protocol.messages.put_nowait("b")
    assert await asgi.receive() == {"type": "websocket.receive", "text": "a"}
    assert await asgi.receive() == {"type": "websocket.receive", "text": "b"}
    assert protocol.sent == ["1", "2"]


async def test_send_while_another_task_receives() -> None:
    """Only one receive is in flight at the server."""
    protocol = Websocket()
    asgi = await connected(protocol)
    receiving = asyncio.ensure_future(asgi.receive())
    await turn()
    await asgi.send(text("x"))
    assert protocol.sent == ["x"]
    protocol.messages.put_nowait(None)
    assert (await receiving)["code"] == 1005


async def test_cancelled_receive_can_be_repeated() -> None:
    """A time limit around `receive` loses nothing."""
    protocol = Websocket()
    asgi = await connected(protocol)
    for look_ahead in (False, True):
        if look_ahead:
            await asgi.send(text("x"))
            await turn()
        receiving = asyncio.ensure_future(asgi.receive())
        await turn()
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        protocol.messages.put_nowait("later")
        assert await asgi.receive() == {"type": "websocket.receive", "text": "later"}


async def test_another_task_receives_after_one_that_was_cancelled() -> None:
    """At once, before the cancelled one has noticed; each runs in its own context."""
    protocol = Websocket()
    asgi = await connected(protocol)
    variable: ContextVar[str] = ContextVar("variable")

    async def receive(name: str) -> tuple[str, str]:
        variable.set(name)
        message = await asgi.receive()
        return message["text"], variable.get()

    first = asyncio.ensure_future(receive("first"))
    await turn()
    for name in ("second", "third"):
        first.cancel()
        first = asyncio.ensure_future(receive(name))
        await asyncio.sleep(0)
    protocol.messages.put_nowait("x")
    assert await first == ("x", "third")
    first = asyncio.ensure_future(receive("closed"))
    await turn()
    first.cancel()
    assert asgi.connection.code is None
    protocol.messages.put_nowait("y")
    assert await receive("own") == ("y", "own")


async def test_giving_up_again_and_again_leaves_nothing_behind() -> None:
    """On the server's future, which lives until the next message comes."""
    asgi = await connected(Websocket())
    contexts = []

    async def receive() -> None:
        context = copy_context()
        contexts.append(weakref.ref(context))
        receiving = asyncio.get_running_loop().create_task(asgi.receive(), context=context)
        del context
        await turn()
        receiving.cancel()
        await asyncio.wait((receiving,))

    for _ in range(10):
        await receive()
    gc.collect()
    assert sum(context() is not None for context in contexts) <= 2


async def test_closing_after_the_end_says_nothing() -> None:
    """Neither when the client left nor when the server stops: who cleans up need not know."""
    for code in (1005, 1001):
        protocol = Websocket()
        asgi = await connected(protocol)
        if code == 1005:
            protocol.messages.put_nowait(None)
        else:
            asgi.close()
        assert (await asgi.receive())["code"] == code
        await asgi.send({"type": "websocket.close", "code": 1000})
        assert asgi.connection.transport is None
        assert (await asgi.receive())["code"] == code
        with pytest.raises(RuntimeError, match="after sending 'websocket.close'"):
            await asgi.send(text("x"))


async def test_two_tasks_cannot_receive() -> None:
    """The second one is told so, the first one goes on."""
    protocol = Websocket()
    asgi = await connected(protocol)
    receiving = asyncio.ensure_future(asgi.receive())
    await turn()
    with pytest.raises(RuntimeError, match="Another task is already receiving"):
        await asgi.receive()
    protocol.messages.put_nowait("x")
    assert (await receiving)["text"] == "x"


async def test_server_that_stops() -> None:
    """Who receives is told, who sends gets an exception."""
    protocol = Websocket()
    asgi = await connected(protocol)
    receiving = asyncio.ensure_future(asgi.receive())
    await turn()
    asgi.close()
    assert await receiving == {"type": "websocket.disconnect", "code": 1001, "reason": ""}
    with pytest.raises(ClientDisconnected):
        await asgi.send(text("x"))
    asgi.close()
    await asgi.__aexit__(None, None, None)
    assert protocol.closes == [None]


async def test_server_that_refuses_a_message_has_lost_the_client() -> None:
    """Its exception is the cause."""
    for failure in (ProtocolClosed("closed"), ProtocolError("error")):
        protocol = Websocket()
        asgi = await connected(protocol)
        protocol.failure = failure
        with pytest.raises(ClientDisconnected) as caught:
            await asgi.send({"type": "websocket.send", "bytes": b"x"})
        assert caught.value.__cause__ is failure
        await asgi.__aexit__(None, None, None)


async def test_client_that_leaves_during_the_handshake() -> None:
    """Accepting raises, and the application's end is quiet."""
    protocol = Websocket()
    protocol.failure = ProtocolClosed("closed")
    with pytest.raises(ClientDisconnected):
        await connected(protocol)

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(ACCEPT)

    await RSGIAdapter(app).__rsgi__(Scope(proto="ws"), protocol)


@pytest.mark.parametrize(
    ("extra", "what"),
    [({"subprotocol": "chat"}, "a subprotocol"), ({"headers": [(b"set-cookie", b"a=1")]}, "headers")],
)
async def test_accept_with_what_rsgi_cannot_carry(extra: dict[str, Any], what: str) -> None:
    """The error says what helps; the client gets a 500."""
    protocol = Websocket()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({**ACCEPT, **extra})

    with pytest.raises(RuntimeError, match=f"RSGI cannot carry {what} .* Granian's `--interface asgi`"):
        await RSGIAdapter(app).__rsgi__(Scope(proto="ws"), protocol)
    assert protocol.closes == [500]
    assert not protocol.accepted


async def test_refused_handshake_is_a_403() -> None:
    """Whatever code the application gave; afterwards nothing can be sent."""
    protocol = Websocket()
    asgi = ASGIWebsocket(protocol)
    assert await asgi.receive() == CONNECT
    await asgi.send({"type": "websocket.close", "code": 4001})
    assert protocol.closes == [403]
    assert not asgi.accepted
    assert (await asgi.receive())["code"] == 1006
    with pytest.raises(RuntimeError, match="after sending 'websocket.close'"):
        await asgi.send(ACCEPT)
    await asgi.__aexit__(None, None, None)
    assert protocol.closes == [403]


async def test_receive_before_the_answer_waits_for_it() -> None:
    """No message comes before the handshake is done."""
    protocol = Websocket("x")
    asgi = ASGIWebsocket(protocol)
    assert await asgi.receive() == CONNECT
    receiving = asyncio.ensure_future(asgi.receive())
    await turn()
    assert not receiving.done()
    await asgi.send(ACCEPT)
    assert (await receiving)["text"] == "x"
    refused = ASGIWebsocket(Websocket())
    await refused.receive()
    receiving = asyncio.ensure_future(refused.receive())
    await turn()
    await refused.send({"type": "websocket.close"})
    assert (await receiving)["code"] == 1006


async def test_close_code_is_not_carried_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed; the log names the remedy; the normal close is no news."""
    monkeypatch.setattr(websocket, "_told_of_close_codes", False)
    for message, lines in (
        ({}, 0),
        ({"code": 1005}, 0),
        ({"code": 4001}, 1),
        ({"reason": "bye"}, 1),
        ({"code": 4002}, 1),
    ):
        protocol = Websocket()
        asgi = await connected(protocol)
        await asgi.send({"type": "websocket.close", **message})
        assert protocol.closes == [None]
        assert len(caplog.records) == lines
        assert (await asgi.receive())["code"] == message.get("code", 1000)
        with pytest.raises(RuntimeError, match="after sending 'websocket.close'"):
            await asgi.send(text("x"))
    assert "code 4001" in caplog.text
    assert "`--interface asgi`" in caplog.text


async def test_messages_out_of_order_raise() -> None:
    """As on Uvicorn."""
    asgi = ASGIWebsocket(Websocket())
    with pytest.raises(RuntimeError, match="Expected ASGI message 'websocket.accept' or 'websocket.close'"):
        await asgi.send(text("x"))
    asgi = await connected(Websocket())
    with pytest.raises(RuntimeError, match="Expected ASGI message 'websocket.send' or 'websocket.close'"):
        await asgi.send(ACCEPT)
    await asgi.send({"type": "websocket.send"})


async def test_application_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """A 500 before the handshake is done, a close after."""

    async def early(scope: Message, receive: Receive, send: Send) -> None:
        raise ValueError("boom")

    async def late(scope: Message, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send(text("x"))
        raise ValueError("boom")

    for app, closes in ((early, [500]), (late, [None])):
        protocol = Websocket()
        with pytest.raises(ValueError, match="boom"):
            await RSGIAdapter(app).__rsgi__(Scope(proto="ws"), protocol)
        await turn()
        assert protocol.closes == closes
        assert protocol.receiving == 0


async def test_application_that_returns(caplog: pytest.LogCaptureFixture) -> None:
    """A 500 and a line in the log before the handshake is done, a close after."""

    async def early(scope: Message, receive: Receive, send: Send) -> None:
        return

    async def late(scope: Message, receive: Receive, send: Send) -> None:
        await send(ACCEPT)

    for app, closes, line in ((late, [None], ""), (early, [500], "without completing handshake")):
        protocol = Websocket()
        await RSGIAdapter(app).__rsgi__(Scope(proto="ws"), protocol)
        assert protocol.closes == closes
        assert line in caplog.text


# RSGI over ASGI


class Server:
    """An ASGI server in memory."""

    def __init__(self, *messages: dict[str, Any], **scope: Any) -> None:
        self.scope = {"type": "websocket", "path": "/", "headers": [], **scope}
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        for message in (CONNECT, *messages):
            self.messages.put_nowait(message)
        self.sent: list[Message] = []
        self.broken = False

    async def send(self, message: Message) -> None:
        if self.broken:
            raise OSError("the client is gone")
        self.sent.append(message)

    async def run(self, app: Any) -> list[Message]:
        await ASGIAdapter(app)(self.scope, self.messages.get, self.send)
        return self.sent


async def test_rsgi_echo() -> None:
    """Kinds and data are Granian's; the end comes once as a message, then raises."""
    server = Server(
        {"type": "websocket.receive", "text": "é"},
        {"type": "websocket.receive", "bytes": b"\x00", "text": None},
        {"type": "websocket.disconnect", "code": 1001},
    )

    async def app(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        assert scope.proto == "ws"
        transport = await protocol.accept()
        with pytest.raises(ProtocolError):
            await protocol.accept()
        while (message := await transport.receive()).kind != WebsocketMessageType.close:
            if message.kind == WebsocketMessageType.string:
                await transport.send_str(message.data)  # type: ignore[arg-type] # the kind tells
            else:
                await transport.send_bytes(message.data)  # type: ignore[arg-type] # the kind tells
        assert message.data is None
        with pytest.raises(ProtocolClosed):
            await transport.receive()
        with pytest.raises(ProtocolClosed):
            await transport.send_str("late")

    assert await server.run(app) == [
        {"type": "websocket.accept"},
        text("é"),
        {"type": "websocket.send", "bytes": b"\x00"},
    ]
    assert repr(RSGIMessage(2, "x")) == "RSGIMessage(2, 'x')"


async def test_rsgi_application_closes() -> None:
    """At once, not when it returns; afterwards nothing can be sent, and `receive` ends."""
    server = Server()

    async def app(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        transport = await protocol.accept()
        protocol.close(4001)
        protocol.close()
        await turn()
        assert server.sent[1:] == [CLOSED]
        with pytest.raises(ProtocolError):
            await transport.send_str("late")
        with pytest.raises(ProtocolError):
            await protocol.accept()
        server.messages.put_nowait({"type": "websocket.disconnect", "code": 1000})
        assert (await transport.receive()).kind == WebsocketMessageType.close

    assert await server.run(app) == [{"type": "websocket.accept"}, CLOSED]


async def test_rsgi_application_returns() -> None:
    """What it left open is closed, what it left unanswered is refused."""

    async def late(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        await protocol.accept()

    async def early(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        return

    assert await Server().run(late) == [{"type": "websocket.accept"}, CLOSED]
    assert await Server().run(early) == [{"type": "websocket.close"}]


async def test_rsgi_application_raises() -> None:
    """The exception goes on to the server after the close."""

    async def app(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        await protocol.accept()
        raise ValueError("boom")

    server = Server()
    with pytest.raises(ValueError, match="boom"):
        await server.run(app)
    assert server.sent[-1] == CLOSED


@pytest.mark.parametrize("status", [None, 403, 401])
@pytest.mark.parametrize("extension", [True, False])
async def test_rsgi_refusals(status: int | None, extension: bool) -> None:
    """Another status than 403 takes a server that can send it."""

    async def app(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        protocol.close(status)

    sent = await Server(extensions={"websocket.http.response": {}} if extension else None).run(app)
    if extension and status == 401:
        assert [message["type"] for message in sent] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert sent[0]["status"] == 401
    else:
        assert sent == [{"type": "websocket.close"}]


async def test_impossible_refusal() -> None:
    """Granian's worker would end."""

    async def app(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        with pytest.raises(ValueError, match="from 200 to 599, not 1008"):
            protocol.close(1008)

    sent = await Server(extensions={"websocket.http.response": {}}).run(app)
    assert sent == [{"type": "websocket.close"}]


async def test_client_that_is_gone() -> None:
    """Before the handshake, and found out by a server that raises."""

    async def app(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        with pytest.raises(ProtocolClosed):
            await protocol.accept()

    server = Server()
    server.messages = asyncio.Queue()
    server.messages.put_nowait({"type": "websocket.disconnect", "code": 1006})
    assert await server.run(app) == []

    async def sending(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        transport = await protocol.accept()
        server.broken = True
        with pytest.raises(ProtocolClosed):
            await transport.send_bytes(b"x")
        assert (await transport.receive()).kind == WebsocketMessageType.close

    server = Server()
    await server.run(sending)

    async def refusing(scope: RSGIScope, protocol: RSGIWebsocketProtocol) -> None:
        server.broken = True
        protocol.close()

    server = Server()
    assert await server.run(refusing) == []
