"""WebSockets: functions and classes, origins and heartbeats."""

import asyncio
from typing import Annotated, Any

import pytest
from starlette.testclient import WebSocketDenialResponse

from tests.conftest import ClientFactory
from velithon import Depends, HTTPException, Query, Router, Velithon, WebSocket, WebSocketDisconnect, WebSocketException
from velithon.di import Provide, ServiceContainer, SingletonProvider, inject
from velithon.exceptions import RegistrationError
from velithon.websocket import Heartbeat, WebSocketEndpoint
from velithon.websocket.heartbeat import add_heartbeat
from velithon.websocket.readahead import is_silent


def refused(client: Any, path: str, **options: Any) -> int:
    """Return the status of a handshake that is refused: 403, unless the protocol says another."""
    with (
        pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)) as caught,
        client.websocket_connect(path, **options),
    ):
        pass
    return int(getattr(caught.value, "status_code", 403))


def test_a_function_gets_typed_parameters_and_dependencies(client: ClientFactory) -> None:
    app = Velithon()

    async def user(websocket: WebSocket, token: Annotated[str, Query()]) -> str:
        return f"user of {token}"

    @app.websocket("/rooms/{room}")
    async def rooms(websocket: WebSocket, room: int, who: Annotated[str, Depends(user)], loud: bool = False) -> None:
        await websocket.accept()
        await websocket.send_json({"room": room, "who": who, "loud": loud})
        await websocket.close()

    with client(app).websocket_connect("/rooms/3?token=t&loud=yes") as websocket:
        assert websocket.receive_json() == {"room": 3, "who": "user of t", "loud": True}
    assert refused(client(app), "/rooms/three?token=t") == 403
    assert refused(client(app), "/rooms/3") == 403


def test_text_bytes_and_json_are_echoed(client: ClientFactory) -> None:
    app = Velithon()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.send_bytes(await websocket.receive_bytes())
        await websocket.send_json(await websocket.receive_json())
        await websocket.send_json(await websocket.receive_json(mode="binary"), mode="binary")

    with client(app).websocket_connect("/echo") as websocket:
        websocket.send_text("ä")
        assert websocket.receive_text() == "ä"
        websocket.send_bytes(b"\x00\xff")
        assert websocket.receive_bytes() == b"\x00\xff"
        websocket.send_json({"a": [1]})
        assert websocket.receive_json() == {"a": [1]}
        websocket.send_json({"b": 2}, mode="binary")
        assert websocket.receive_json(mode="binary") == {"b": 2}


@pytest.mark.parametrize(
    "problem", [WebSocketException(1008, "no"), None], ids=["exception before accept", "close before accept"]
)
def test_refused_handshakes_are_403(client: ClientFactory, problem: Exception | None) -> None:
    app = Velithon()

    @app.websocket("/")
    async def refuses(websocket: WebSocket) -> None:
        if problem is not None:
            raise problem
        await websocket.close()

    assert refused(client(app), "/") == 403


def test_unknown_paths_are_refused(client: ClientFactory) -> None:
    assert refused(client(Velithon()), "/nowhere") == 403


def test_a_disconnect_is_noticed_by_a_handler_that_only_sends(client: ClientFactory) -> None:
    app = Velithon()
    noticed: list[str] = []

    @app.websocket("/")
    async def ticks(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text("tick")
                await asyncio.sleep(0)
        except WebSocketDisconnect:
            noticed.append("yes")

    with client(app) as c:
        with c.websocket_connect("/") as websocket:
            assert websocket.receive_text() == "tick"
        if c.protocol == "rsgi":
            # Starlette's session over ASGI cancels the application instead of failing its sends.
            assert noticed == ["yes"]


class Events(WebSocketEndpoint):
    """Notes what happens."""

    seen: list[Any]

    async def on_connect(self, websocket: Any) -> None:
        await websocket.accept()
        self.seen.append("connect")

    async def on_receive(self, websocket: Any, data: Any) -> None:
        self.seen.append(data)
        await websocket.send_json({"got": data if not isinstance(data, bytes) else data.decode()})


@pytest.mark.parametrize(
    ("encoding", "sent", "got"),
    [
        ("text", "hi", "hi"),
        ("bytes", b"hi", "hi"),
        ("json", {"a": 1}, {"a": 1}),
        (None, "hi", "hi"),
        (None, b"hi", "hi"),
    ],
)
def test_class_endpoints_decode_by_their_encoding(client: ClientFactory, encoding: Any, sent: Any, got: Any) -> None:
    class Endpoint(Events):
        seen: list[Any] = []

    Endpoint.encoding = encoding
    app = Velithon()
    app.add_websocket_route("/", Endpoint)
    with client(app).websocket_connect("/") as websocket:
        if isinstance(sent, bytes):
            websocket.send_bytes(sent)
        elif isinstance(sent, str):
            websocket.send_text(sent)
        else:
            websocket.send_json(sent)
        assert websocket.receive_json() == {"got": got}
    assert Endpoint.seen == ["connect", sent]


def test_on_disconnect_with_and_without_the_close_code(client: ClientFactory) -> None:
    seen: list[Any] = []

    class With(WebSocketEndpoint):
        async def on_disconnect(self, websocket: Any, close_code: int) -> None:
            seen.append(close_code)

    class Without(WebSocketEndpoint):
        async def on_disconnect(self, websocket: Any) -> None:
            seen.append("left")

    class Room(WebSocketEndpoint):
        async def on_disconnect(self, websocket: Any, room: int) -> None:
            seen.append(room + 1)

    class Both(WebSocketEndpoint):
        async def on_disconnect(self, websocket: Any, close_code: int, room: int) -> None:
            seen.append((close_code, room + 1))

    class Neither(WebSocketEndpoint):
        pass

    app = Velithon()
    for name, endpoint in {"with": With, "without": Without, "neither": Neither}.items():
        app.add_websocket_route(f"/{name}", endpoint)
    app.add_websocket_route("/room/{room}", Room)
    app.add_websocket_route("/both/{room}", Both)
    for path in ("/with", "/without", "/neither", "/room/4", "/both/4"):
        with client(app).websocket_connect(path) as websocket:
            websocket.close(4000)
    # RSGI does not carry the client's close code.
    code = 4000 if client(app).protocol == "asgi" else 1005
    assert seen == [code, "left", 5, (code, 5)]


def test_class_methods_have_parameters_dependencies_and_services(client: ClientFactory) -> None:
    class Greeter:
        def greet(self, name: str) -> str:
            return f"Hello {name}"

    class Container(ServiceContainer):
        greeter = SingletonProvider(Greeter)

    container = Container()
    closed: list[str] = []

    async def user(websocket: WebSocket, token: str) -> Any:
        if token == "bad":
            raise WebSocketException(1008)
        yield f"user {token}"
        closed.append(token)

    class Endpoint(WebSocketEndpoint):
        async def on_connect(
            self, websocket: WebSocket, room: int, who: Annotated[str, Depends(user)], limit: int = 5
        ) -> None:
            await websocket.accept()
            await websocket.send_json([room, who, limit])

        @inject
        async def on_receive(
            self, websocket: WebSocket, data: str, room: int, greeter: Greeter = Provide[container.greeter]
        ) -> None:
            await websocket.send_text(f"{greeter.greet(data)} in {room + 1}")

    app = Velithon()
    app.register_container(container)
    app.add_websocket_route("/rooms/{room}", Endpoint)
    with client(app) as c:
        with c.websocket_connect("/rooms/7?token=t&limit=9") as websocket:
            assert websocket.receive_json() == [7, "user t", 9]
            websocket.send_text("Ann")
            assert websocket.receive_text() == "Hello Ann in 8"
        assert refused(c, "/rooms/seven?token=t") == 403
        assert refused(c, "/rooms/7?token=bad") == 403
    assert closed == ["t"]


def test_overrides_and_route_dependencies_reach_class_endpoints(client: ClientFactory) -> None:
    async def user() -> str:
        return "real"

    async def guard(websocket: WebSocket) -> None:
        if "key" not in websocket.query_params:
            raise WebSocketException(1008)

    class Endpoint(WebSocketEndpoint):
        async def on_connect(self, websocket: WebSocket, who: str = Depends(user)) -> None:
            await websocket.accept()
            await websocket.send_text(who)

    class Plain(WebSocketEndpoint):
        pass

    router = Router(prefix="/in", dependencies=[Depends(guard)])
    router.add_websocket_route("/class", Endpoint)
    router.websocket("/plain")(Plain)
    app = Velithon()
    app.include_router(router)
    c = client(app)
    assert refused(c, "/in/class") == 403
    assert refused(c, "/in/plain") == 403
    with c.websocket_connect("/in/plain?key=1"):
        pass
    with c.websocket_connect("/in/class?key=1") as websocket:
        assert websocket.receive_text() == "real"
    app.dependency_overrides[user] = lambda: "fake"
    with c.websocket_connect("/in/class?key=1") as websocket:
        assert websocket.receive_text() == "fake"


def test_a_client_that_leaves_ends_a_class_endpoint_quietly(client: ClientFactory) -> None:
    seen: list[Any] = []

    class Endpoint(WebSocketEndpoint):
        async def on_receive(self, websocket: Any, data: Any) -> None:
            raise WebSocketDisconnect(1006)

        async def on_disconnect(self, websocket: Any, close_code: int) -> None:
            seen.append(close_code)

    app = Velithon()
    app.add_websocket_route("/", Endpoint)
    with client(app).websocket_connect("/") as websocket:
        websocket.send_text("x")
    assert seen == [1006]


def test_a_failure_in_a_class_endpoint_is_told_and_raised(client: ClientFactory) -> None:
    seen: list[Any] = []

    class Endpoint(WebSocketEndpoint):
        async def on_receive(self, websocket: Any, data: Any) -> None:
            raise ZeroDivisionError

        async def on_disconnect(self, websocket: Any, close_code: int) -> None:
            seen.append(close_code)

    app = Velithon()
    app.add_websocket_route("/", Endpoint)
    with pytest.raises(ZeroDivisionError), client(app).websocket_connect("/") as websocket:  # noqa: PT012
        websocket.send_text("x")
        websocket.receive_text()
    assert seen == [1011]


def test_a_class_endpoint_works_under_starlette() -> None:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.testclient import TestClient

    seen: list[str] = []

    class Endpoint(WebSocketEndpoint):
        async def on_disconnect(self, websocket: Any) -> None:
            seen.append("left")

    with TestClient(Starlette(routes=[WebSocketRoute("/", Endpoint)])) as c, c.websocket_connect("/"):
        pass
    assert seen == ["left"]


def test_dependencies_for_an_application_are_refused() -> None:
    class App:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    with pytest.raises(RegistrationError, match="no signature"):
        Velithon().add_websocket_route("/", App(), dependencies=[Depends(lambda: None)])


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError, match="unknown options: heart"):
        Velithon().websocket("/", heart=3)(lambda websocket: None)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        ("https://example.org", True),
        ("HTTPS://Example.org", True),
        ("https://example.org.evil.com", False),
        ("http://example.org", False),
        ("null", False),
        (None, True),
    ],
)
def test_only_pages_of_allowed_origins_connect(client: ClientFactory, origin: str | None, accepted: bool) -> None:
    app = Velithon()

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    app.websocket("/app", allowed_origins=["https://example.org"])(endpoint)
    router = Router(prefix="/in")
    router.websocket("/router", allowed_origins=["https://example.org"])(endpoint)
    app.include_router(router)
    app.websocket("/any", allowed_origins=["*"])(endpoint)
    headers = {} if origin is None else {"origin": origin}
    for path in ("/app", "/in/router"):
        if accepted:
            with client(app).websocket_connect(path, headers=headers):
                pass
        else:
            assert refused(client(app), path, headers=headers) == 403
    with client(app).websocket_connect("/any", headers=headers):
        pass


@pytest.mark.parametrize("origins", ["https://example.org", ["example.org"], ["https://example.org/"]])
def test_malformed_origins_are_refused_at_registration(origins: Any) -> None:
    with pytest.raises(ValueError, match="origin"):
        Velithon().websocket("/", allowed_origins=origins)(lambda websocket: None)


async def heartbeats(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(f"got {await websocket.receive_text()}")
    except WebSocketDisconnect as exc:
        gone.append(exc.code)


gone: list[int] = []


def test_a_heartbeat_is_sent_while_nothing_comes(client: ClientFactory) -> None:
    app = Velithon()
    app.websocket("/", heartbeat=0.02)(heartbeats)
    with client(app).websocket_connect("/") as websocket:
        assert websocket.receive_text() == "ping"
        assert websocket.receive_text() == "ping"
        websocket.send_text("x")
        texts = {websocket.receive_text() for _ in range(3)}
    assert "got x" in texts


def test_an_answered_heartbeat_goes_on_and_its_answers_stay_unseen(client: ClientFactory) -> None:
    app = Velithon()
    app.websocket("/", heartbeat=Heartbeat(0.02, "?", answer="!", timeout=5))(heartbeats)
    with client(app).websocket_connect("/") as websocket:
        assert websocket.receive_text() == "?"
        websocket.send_text("!")
        websocket.send_text("x")
        assert "got x" in {websocket.receive_text() for _ in range(2)}


def test_a_client_that_does_not_answer_is_left(client: ClientFactory) -> None:
    gone.clear()
    app = Velithon()
    app.websocket("/", heartbeat=Heartbeat(0.01, b"?", answer=b"!", timeout=0.01))(heartbeats)
    with client(app).websocket_connect("/") as websocket:
        assert websocket.receive_bytes() == b"?"
        with pytest.raises(WebSocketDisconnect):
            websocket.receive_bytes()
    assert gone == [1006]


@pytest.mark.parametrize("breaks", [False, True], ids=["silent client", "broken connection"])
def test_a_sender_notices_that_the_heartbeat_was_lost(breaks: bool) -> None:
    """An endpoint that never receives is told by its next send; the connection is closed with 1011."""
    sent: list[Any] = []
    pending = [{"type": "websocket.connect"}]

    async def receive() -> Any:
        if pending:
            return pending.pop()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)
        if breaks and message.get("text") == "?":
            raise OSError

    async def app(scope: Any, receive: Any, send: Any) -> None:
        websocket = WebSocket({"type": "websocket", "headers": []}, receive, send)
        await websocket.accept()
        with pytest.raises(WebSocketDisconnect):
            await ticks(websocket)

    async def ticks(websocket: WebSocket) -> None:
        while True:
            await websocket.send_text("tick")
            await asyncio.sleep(0.001)

    async def run() -> None:
        await add_heartbeat(app, heartbeat)({}, receive, send)

    heartbeat = Heartbeat(0.01, "?", answer=None if breaks else "!", timeout=0.01)
    asyncio.run(run())
    assert {"type": "websocket.send", "text": "?"} in sent
    closes = [message["code"] for message in sent if message["type"] == "websocket.close"]
    assert closes == ([] if breaks else [1011])


def test_a_refused_handshake_has_no_heartbeat(client: ClientFactory) -> None:
    app = Velithon()

    @app.websocket("/", heartbeat=1)
    async def refuses(websocket: WebSocket) -> None:
        await websocket.receive()
        await websocket.close()

    assert refused(client(app), "/") == 403


@pytest.mark.parametrize("options", [{"interval": 0}, {"interval": 1, "timeout": -1}])
def test_a_heartbeat_needs_positive_times(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="more than 0 seconds"):
        Heartbeat(**options)  # type: ignore[arg-type]


def test_http_exceptions_before_accept_close_the_handshake(client: ClientFactory) -> None:
    app = Velithon()

    @app.websocket("/")
    async def refuses(websocket: WebSocket) -> None:
        raise HTTPException(401)

    assert refused(client(app), "/") in (401, 403)


@pytest.mark.parametrize(
    ("version", "silent"), [(None, False), ("2.0", True), ("2.3", True), ("2.4", False), ("3.0", False)]
)
def test_which_servers_are_silent_about_clients_that_left(version: str | None, silent: bool) -> None:
    assert is_silent({"asgi": {"spec_version": version}} if version else {}) is silent


def test_a_sender_notices_on_a_server_whose_send_is_silent() -> None:
    """One message is read ahead, and none is lost by that."""
    incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "first"}]
    left = asyncio.Event()
    seen: list[Any] = []

    async def receive() -> Any:
        if incoming:
            return incoming.pop(0)
        await left.wait()
        return {"type": "websocket.disconnect", "code": 1001}

    async def send(message: Any) -> None:
        seen.append(message["type"])

    app = Velithon()

    @app.websocket("/")
    async def sends(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("a")
        await asyncio.sleep(0)
        await websocket.send_text("b")
        seen.append(await websocket.receive_text())
        await websocket.send_text("c")
        left.set()
        await asyncio.sleep(0.001)
        with pytest.raises(WebSocketDisconnect):
            await websocket.send_text("d")
        seen.append(await websocket.receive())

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "asgi": {"spec_version": "2.3"}}
    asyncio.run(app(scope, receive, send))
    assert seen == [
        "websocket.accept",
        "websocket.send",
        "websocket.send",
        "first",
        "websocket.send",
        {"type": "websocket.disconnect", "code": 1001},
    ]
