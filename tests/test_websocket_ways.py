"""A WebSocket's data takes the shortest way that there is: what it does must not depend on the way."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.memory import Scope, Websocket, turn
from velithon import Velithon, WebSocket, WebSocketDisconnect
from velithon.responses import PlainTextResponse
from velithon.websocket import WebSocketState
from velithon.websocket.connection import RSGIWebSocket
from velithon_adapters import ASGIAdapter
from velithon_adapters.rsgi import ProtocolClosed, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conftest import ClientFactory

    Endpoint = Callable[[WebSocket], Awaitable[None]]

WAYS = ["direct", "layer around receive", "layer around send", "receive replaced", "_send replaced"]


class Around:
    """An ASGI layer with a `receive` or a `send` of its own; it notes what it sees."""

    def __init__(self, app: Any, receive: bool, send: bool, seen: list[str]) -> None:
        self.app = app
        self.wraps = receive, send
        self.seen = seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def receives() -> Any:
            message = await receive()
            self.seen.append(message["type"])
            return message

        async def sends(message: Any) -> None:
            self.seen.append(message["type"])
            await send(message)

        await self.app(scope, receives if self.wraps[0] else receive, sends if self.wraps[1] else send)


def application(endpoint: Endpoint, way: str = "direct") -> Velithon:
    """Return an application with the endpoint at `/`, whose data goes the way that is asked for."""
    app = Velithon()

    @app.websocket("/")
    async def runs(websocket: WebSocket) -> None:
        if way == "receive replaced":
            websocket.receive = websocket.receive  # type: ignore[method-assign]
        if way == "_send replaced":
            websocket._send = websocket._send
        await endpoint(websocket)

    if way.startswith("layer"):
        app.add_middleware(Around, receive="receive" in way, send="send" in way, seen=[])
    return app


async def serve(app: Any, protocol: Websocket) -> None:
    """Run one connection of an application over RSGI."""
    await app.__rsgi__(Scope(proto="ws"), protocol)


async def run(endpoint: Endpoint, protocol: Websocket, way: str = "direct") -> None:
    """Run one connection over RSGI."""
    await serve(application(endpoint, way), protocol)


async def note(seen: list[Any], awaitable: Awaitable[Any]) -> None:
    """Note what comes of an awaitable."""
    try:
        seen.append(await awaitable)
    except WebSocketDisconnect as exc:
        seen.append(f"WebSocketDisconnect: {exc.code}")
    except Exception as exc:  # noqa: BLE001 - whatever it is
        seen.append(f"{type(exc).__name__}: {exc}")


@pytest.mark.asyncio
async def test_the_endpoint_of_an_rsgi_server_is_next_to_it() -> None:
    """Also behind a layer that wraps neither `receive` nor `send`, and not behind one that does."""
    found: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        found.append(isinstance(websocket, RSGIWebSocket) and websocket._connection is not None)
        await websocket.accept()

    for way in [*WAYS, "layer around nothing"]:
        await run(endpoint, Websocket(), way)
    assert found == [True, False, False, False, False, True]


@pytest.mark.parametrize("way", WAYS)
def test_all_kinds_of_data_go_there_and_back(client: ClientFactory, way: str) -> None:
    """Empty messages are messages; binary JSON is UTF-8."""
    document = {"a": [1, "é", None]}

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text() + "!")
        await websocket.send_bytes(await websocket.receive_bytes() + b"!")
        await websocket.send_text(await websocket.receive_text())
        await websocket.send_bytes(await websocket.receive_bytes())
        await websocket.send_json(await websocket.receive_json())
        await websocket.send_json(await websocket.receive_json(mode="binary"), mode="binary")
        assert websocket.client_state is websocket.application_state is WebSocketState.CONNECTED
        await websocket.close()

    with client(application(endpoint, way)).websocket_connect("/") as socket:
        socket.send_text("hé")
        assert socket.receive_text() == "hé!"
        socket.send_bytes(b"\xff")
        assert socket.receive_bytes() == b"\xff!"
        socket.send_text("")
        assert socket.receive_text() == ""
        socket.send_bytes(b"")
        assert socket.receive_bytes() == b""
        socket.send_json(document)
        assert socket.receive_json() == document
        socket.send_json(document, mode="binary")
        sent = socket.receive_bytes()
        assert json.loads(sent) == document
        assert "é".encode() in sent


@pytest.mark.parametrize("way", WAYS)
def test_messages_of_the_other_kind(client: ClientFactory, way: str) -> None:
    """Starlette's KeyError names what was asked for; the connection goes on."""
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        for _ in range(2):
            await note(seen, websocket.receive_text())
            await note(seen, websocket.receive_bytes())
            await note(seen, websocket.receive_json())
            await note(seen, websocket.receive_json(mode="binary"))
            await note(seen, websocket.receive_json(mode="yaml"))
            await note(seen, websocket.send_json({}, mode="yaml"))
        await websocket.send_text("done")

    with client(application(endpoint, way)).websocket_connect("/") as socket:
        for data in (b"1", "2", b"3", "4"):
            socket.send({"type": "websocket.receive", "bytes" if isinstance(data, bytes) else "text": data})
        for data in ("1", b"2", "3", b"4"):
            socket.send({"type": "websocket.receive", "bytes" if isinstance(data, bytes) else "text": data})
        assert socket.receive_text() == "done"
    mode = 'RuntimeError: The "mode" argument should be "text" or "binary".'
    assert seen == [
        "KeyError: 'text'", "KeyError: 'bytes'", "KeyError: 'text'", "KeyError: 'bytes'", mode, mode,
        "1", b"2", 3, 4, mode, mode,
    ]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_data_before_the_handshake_and_after_the_close(client: ClientFactory, way: str) -> None:
    """The errors are Starlette's, and say what is missing."""
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        calls: list[Callable[[], Awaitable[Any]]] = [
            websocket.receive_text,
            websocket.receive_bytes,
            websocket.receive_json,
            lambda: websocket.send_text("x"),
            lambda: websocket.send_bytes(b"x"),
            lambda: websocket.send_json({}),
        ]
        for call in calls:
            await note(seen, call())
        await websocket.accept()
        await websocket.close()
        for call in calls:
            await note(seen, call())

    with (
        client(application(endpoint, way)).websocket_connect("/") as socket,
        pytest.raises(WebSocketDisconnect),
    ):
        socket.receive_text()
    unready = 'WebSocketDisconnected: WebSocket is not connected. Need to call "accept" first.'
    assert seen[:3] == seen[6:9] == [unready] * 3
    assert all(
        text.startswith('RuntimeError: Expected ASGI message "websocket.accept", "websocket.close"')
        for text in seen[3:6]
    )
    assert seen[9:] == ['WebSocketDisconnected: Cannot call "send" once a close message has been sent.'] * 3


@pytest.mark.parametrize("way", WAYS)
def test_the_clients_end(client: ClientFactory, way: str) -> None:
    """It raises with the code, which RSGI does not tell; iteration ends; asking again is an error."""
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        how = websocket.query_params["how"]
        if how == "iter":
            seen.append([text async for text in websocket.iter_text()])
        else:
            await note(seen, getattr(websocket, how)())
        assert websocket.client_state is WebSocketState.DISCONNECTED
        assert websocket.application_state is WebSocketState.CONNECTED
        await note(seen, websocket.receive_text())
        await note(seen, websocket.receive_bytes())

    c = client(application(endpoint, way))
    code = 1005 if c.protocol == "rsgi" else 4000
    again = 'WebSocketDisconnected: Cannot call "receive" once a disconnect message has been received.'
    for how in ("receive_text", "receive_bytes", "receive_json"):
        seen.clear()
        with c.websocket_connect(f"/?how={how}") as socket:
            socket.close(4000)
        assert seen == [f"WebSocketDisconnect: {code}", again, again]
    seen.clear()
    with c.websocket_connect("/?how=iter") as socket:
        socket.send_text("a")
        socket.send_text("b")
        socket.close(4000)
    assert seen == [["a", "b"], again, again]


@pytest.mark.parametrize("way", WAYS)
def test_data_and_messages_can_be_mixed(client: ClientFactory, way: str) -> None:
    """`receive` and `send` know of what the other methods did."""
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        seen.append(await websocket.receive())
        await websocket.send({"type": "websocket.accept"})
        seen.append(await websocket.receive_text())
        message = await websocket.receive()
        seen.append((message["type"], message["text"]))
        seen.append(await websocket.receive_text())
        await websocket.send_text("1")
        await websocket.send({"type": "websocket.send", "bytes": b"2"})
        await websocket.send_text("3")
        await note(seen, websocket.receive_text())
        await note(seen, websocket.receive())

    with client(application(endpoint, way)).websocket_connect("/?x=1") as socket:
        for text in "abc":
            socket.send_text(text)
        assert (socket.receive_text(), socket.receive_bytes(), socket.receive_text()) == ("1", b"2", "3")
    assert seen[:4] == [{"type": "websocket.connect"}, "a", ("websocket.receive", "b"), "c"]
    assert seen[4].startswith("WebSocketDisconnect:")
    assert seen[5].startswith("WebSocketDisconnected:")


@pytest.mark.parametrize("way", WAYS)
def test_the_connect_message_is_not_data(client: ClientFactory, way: str) -> None:
    """Who accepted without receiving it gets it, as on any server."""
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.send({"type": "websocket.accept"})
        await note(seen, websocket.receive_text())
        await note(seen, websocket.receive_text())

    with client(application(endpoint, way)).websocket_connect("/") as socket:
        socket.send_text("a")
    assert seen == ["KeyError: 'text'", "a"]


def test_layers_see_every_message(client: ClientFactory) -> None:
    """A layer that wraps one of the two gets what goes through it; nothing goes around."""
    for wraps in ((True, True), (True, False), (False, True)):
        seen: list[str] = []

        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text(await websocket.receive_text())
            await websocket.close()

        app = application(endpoint)
        app.add_middleware(Around, receive=wraps[0], send=wraps[1], seen=seen)
        with client(app).websocket_connect("/") as socket:
            socket.send_text("a")
            assert socket.receive_text() == "a"
            with pytest.raises(WebSocketDisconnect):
                socket.receive_text()
        expected = [
            *(["websocket.connect"] if wraps[0] else []),
            *(["websocket.accept"] if wraps[1] else []),
            *(["websocket.receive"] if wraps[0] else []),
            *(["websocket.send", "websocket.close"] if wraps[1] else []),
        ]
        assert seen == expected


@pytest.mark.parametrize("name", ["receive", "send", "_receive", "_send", "receive_text", "send_text"])
def test_what_was_put_in_the_place_of_a_method_is_called(client: ClientFactory, name: str) -> None:
    """On an object of an endpoint, too: tracing tools do so."""
    calls: list[str] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        original = getattr(websocket, name)

        async def replaced(*arguments: Any) -> Any:
            calls.append(name)
            return await original(*arguments)

        setattr(websocket, name, replaced)
        await websocket.send_text(await websocket.receive_text())

    with client(application(endpoint)).websocket_connect("/") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
    assert calls == [name]


def test_subclasses_of_users_have_their_say(client: ClientFactory) -> None:
    """They are made from `scope`, `receive` and `send`, and everything goes through what they override."""
    seen: list[str] = []

    class Traced(WebSocket):
        async def receive(self) -> Any:
            message = await super().receive()
            seen.append(message["type"])
            return message

        async def send(self, message: Any) -> None:
            seen.append(message["type"])
            await super().send(message)

    async def endpoint(websocket: WebSocket) -> None:
        traced = Traced(websocket.scope, websocket._receive, websocket._send)
        await traced.accept()
        await traced.send_text(await traced.receive_text())

    with client(application(endpoint)).websocket_connect("/") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
    assert seen == ["websocket.connect", "websocket.accept", "websocket.receive", "websocket.send"]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
async def test_a_time_limit_loses_no_message(way: str) -> None:
    """Cancelling ends the wait; what comes afterwards, or at the same moment, goes to whoever asks next."""
    protocol = Websocket()
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        for _ in range(2):
            waiting = asyncio.ensure_future(websocket.receive_text())
            await turn()
            protocol.messages.put_nowait("a")
            waiting.cancel("enough")
            with pytest.raises(asyncio.CancelledError) as caught:
                await waiting
            seen.append(caught.value.args)
            seen.append(await websocket.receive_text())
        waiting = asyncio.ensure_future(websocket.receive_text())
        await turn()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        protocol.messages.put_nowait("b")
        seen.append(await websocket.receive_text())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await websocket.receive_text()

    await run(endpoint, protocol, way)
    assert seen == [("enough",), "a", ("enough",), "a", "b"]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
async def test_only_one_task_receives_and_any_may_send(way: str) -> None:
    """Also while one receives; the order is that of the calls."""
    protocol = Websocket()
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        waiting = asyncio.ensure_future(websocket.receive_text())
        await turn()
        await note(seen, websocket.receive_text())
        await asyncio.gather(*(websocket.send_text(str(number)) for number in range(4)))
        protocol.messages.put_nowait("a")
        seen.append(await waiting)

    await run(endpoint, protocol, way)
    assert seen == ["RuntimeError: Another task is already receiving from this WebSocket.", "a"]
    assert protocol.sent == ["0", "1", "2", "3"]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
async def test_a_close_by_another_task_wakes_who_receives(way: str) -> None:
    """With the code of the close."""
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        waiting = asyncio.ensure_future(note(seen, websocket.receive_text()))
        await turn()
        await websocket.close()
        await waiting
        await note(seen, websocket.send_text("x"))

    protocol = Websocket()
    await run(endpoint, protocol, way)
    assert seen == [
        "WebSocketDisconnect: 1000",
        'WebSocketDisconnected: Cannot call "send" once a close message has been sent.',
    ]
    assert protocol.closes == [None]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
async def test_a_handshake_in_another_task(way: str) -> None:
    """Who receives meanwhile waits for it; who sends is told."""
    seen: list[Any] = []
    going_on = asyncio.Event()

    class Slow(Websocket):
        async def accept(self) -> Websocket:
            await going_on.wait()
            return await super().accept()

    async def endpoint(websocket: WebSocket) -> None:
        accepting = asyncio.ensure_future(websocket.accept())
        await turn()
        receiving = asyncio.ensure_future(websocket.receive_text())
        await note(seen, websocket.send_text("x"))
        await turn()
        assert not receiving.done()
        going_on.set()
        await accepting
        seen.append(await receiving)

    await run(endpoint, Slow("a"), way)
    assert seen[0].startswith("RuntimeError: ")
    assert seen[1:] == ["a"]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("failure", [ProtocolClosed("gone"), ProtocolError("error")])
@pytest.mark.parametrize(("name", "data"), [("send_text", "x"), ("send_bytes", b"x"), ("send_json", {})])
async def test_a_client_that_is_gone_when_something_is_sent(way: str, failure: Exception, name: str, data: Any) -> None:
    """1006, and the WebSocket is closed for sending; who receives is told as well."""
    protocol = Websocket()
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        protocol.failure = failure
        await note(seen, getattr(websocket, name)(data))
        assert websocket.application_state is WebSocketState.DISCONNECTED
        await note(seen, getattr(websocket, name)(data))
        await note(seen, websocket.receive())

    await run(endpoint, protocol, way)
    assert seen == [
        "WebSocketDisconnect: 1006",
        'WebSocketDisconnected: Cannot call "send" once a close message has been sent.',
        {"type": "websocket.disconnect", "code": 1006, "reason": ""},
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
async def test_who_only_sends_learns_that_the_client_left(way: str) -> None:
    """The code of the client's end stays what it was."""
    protocol = Websocket(None)
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        while not seen:
            try:
                await websocket.send_text("tick")
                await turn()
            except WebSocketDisconnect as exc:
                seen.append(exc.code)
        seen.append((await websocket.receive())["code"])

    await run(endpoint, protocol, way)
    assert seen == [1006, 1005]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
async def test_data_of_the_wrong_type_raises_in_the_endpoint(way: str) -> None:
    """What the server's transport raises for it comes through, and the connection goes on."""

    class Strict(Websocket):
        async def send_str(self, data: str) -> None:
            if not isinstance(data, str):
                raise TypeError("a string is needed")
            await super().send_str(data)

    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await note(seen, websocket.send_text(b"x"))  # type: ignore[arg-type] # on purpose
        await websocket.send_text("x")

    protocol = Strict()
    await run(endpoint, protocol, way)
    assert seen == ["TypeError: a string is needed"]
    assert protocol.sent == ["x"]


@pytest.mark.asyncio
async def test_a_server_that_stops_tells_who_receives() -> None:
    """1001, going away."""
    seen: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await note(seen, websocket.receive_text())
        await note(seen, websocket.send_text("x"))

    app = application(endpoint)
    running = asyncio.ensure_future(serve(app, Websocket()))
    await turn()
    for connection in app._bridge._running:
        connection.close()
    await running
    assert seen == ["WebSocketDisconnect: 1001", "WebSocketDisconnect: 1006"]


def test_a_denial_response(client: ClientFactory) -> None:
    """RSGI has none: Starlette's error says so."""

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("no", 401))

    c = client(application(endpoint))
    if c.protocol == "rsgi":
        with pytest.raises(RuntimeError, match="doesn't support the Websocket Denial"), c.websocket_connect("/"):
            pass
    else:
        with pytest.raises(Exception) as caught, c.websocket_connect("/"):  # noqa: PT011 - the client's own
            pass
        assert getattr(caught.value, "status_code", None) == 401


@pytest.mark.asyncio
async def test_an_rsgi_layer_with_a_protocol_of_its_own_sees_all_data() -> None:
    """What it gives out as the transport is what is used."""
    data: list[Any] = []

    class Noting:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def accept(self) -> Any:
            return Noting(await self.inner.accept())

        def close(self, status: int | None = None) -> None:
            self.inner.close(status)

        async def receive(self) -> Any:
            message = await self.inner.receive()
            data.append(message.data)
            return message

        async def send_str(self, text: str) -> None:
            data.append(text)
            await self.inner.send_str(text)

    class Layer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, protocol: Any) -> None:
            await self.app(scope, Noting(protocol))

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        assert isinstance(websocket, RSGIWebSocket)
        await websocket.send_text(await websocket.receive_text() + "!")
        protocol.messages.put_nowait(None)
        await note([], websocket.receive_text())

    app = application(endpoint)
    app.add_middleware(Layer)
    protocol = Websocket("a")
    await serve(app, protocol)
    assert protocol.sent == ["a!"]
    assert data == ["a", "a!", None]


@pytest.mark.asyncio
async def test_an_rsgi_application_between_two_protocols() -> None:
    """An ASGI server, RSGI over it, and ASGI inside again: all data arrives."""
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    for message in ({"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"}):
        incoming.put_nowait(message)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def endpoint(websocket: WebSocket) -> None:
        assert isinstance(websocket, RSGIWebSocket)
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.send_bytes(b"b")

    app = ASGIAdapter(application(endpoint))
    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "scheme": "ws", "extensions": {}}
    await app(scope, incoming.get, send)
    assert [message.get("text") or message.get("bytes") for message in sent] == [None, "a", b"b", None]
