"""Rooms, and the channels of an application, on both protocols."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from starlette.websockets import WebSocketState

from tests.conftest import ClientFactory
from velithon import Depends, Header, Velithon, WebSocket, WebSocketDisconnect
from velithon.channels import Channels, MemoryChannels, Room, get_channels
from velithon.di import Provide, ServiceContainer, SingletonProvider
from velithon.responses import EventSourceResponse


def chat(**options: Any) -> tuple[Velithon, Room]:
    """An application with a room."""
    app = Velithon()
    room = Room("lobby", **options)

    @app.websocket("/ws/{user}")
    async def endpoint(websocket: WebSocket, user: str) -> None:
        async with room.connected(websocket, user):
            async for text in websocket.iter_text():
                await room.broadcast(f"{user}: {text}")

    @app.get("/members")
    async def members() -> list[str]:
        return await room.members()

    return app, room


def test_everybody_in_a_room_gets_what_anybody_sends(client: ClientFactory) -> None:
    app, _ = chat()
    with client(app) as caller, caller.websocket_connect("/ws/ann") as ann, caller.websocket_connect("/ws/bob") as bob:
        ann.send_text("hello")
        assert ann.receive_text() == bob.receive_text() == "ann: hello"
        bob.send_text("hi")
        assert ann.receive_text() == bob.receive_text() == "bob: hi"
        assert caller.get("/members").json() == ["ann", "bob"]


def test_who_left_is_no_member_and_the_others_go_on(client: ClientFactory) -> None:
    app, _ = chat()
    with client(app) as caller, caller.websocket_connect("/ws/ann") as ann:
        with caller.websocket_connect("/ws/bob"):
            pass
        ann.send_text("anybody here?")
        assert ann.receive_text() == "ann: anybody here?"
        assert caller.get("/members").json() == ["ann"]


def test_clients_without_a_lifespan_share_a_room_too(client: ClientFactory) -> None:
    """A test client gives each of its WebSockets an event loop of its own, unless it is entered."""
    app, _ = chat()
    caller = client(app)
    with caller.websocket_connect("/ws/ann") as ann, caller.websocket_connect("/ws/bob") as bob:
        ann.send_text("hello")
        assert ann.receive_text() == bob.receive_text() == "ann: hello"


def guide_chat() -> Velithon:
    """The guide's endpoint, its `ConnectionManager` replaced by one line."""
    app = Velithon()
    manager = Room("chat", app.channels)

    @app.websocket("/ws/{user_id:path}")
    async def websocket_endpoint(websocket: WebSocket, user_id: str) -> None:
        await manager.connect(websocket, user_id)
        try:
            while True:
                message = json.loads(await websocket.receive_text())
                if message.get("target_user"):
                    await manager.send_personal_message(json.dumps(message), message["target_user"])
                else:
                    await manager.broadcast(json.dumps(message))
        except WebSocketDisconnect:
            manager.disconnect(websocket, user_id)
            await manager.broadcast(f"User {user_id} disconnected")

    return app


@pytest.mark.parametrize("bob_is", ["bob", "b*", "ann/user"])
def test_a_room_is_the_guides_connection_manager(client: ClientFactory, bob_is: str) -> None:
    with client(guide_chat()) as caller, caller.websocket_connect("/ws/ann") as ann:
        with caller.websocket_connect(f"/ws/{quote(bob_is)}") as bob:
            ann.send_json({"message": "to all"})
            assert ann.receive_json() == bob.receive_json() == {"message": "to all"}
            ann.send_json({"message": "to bob", "target_user": bob_is})
            ann.send_json({"message": "the end"})
            assert bob.receive_json()["message"] == "to bob"
            assert ann.receive_json()["message"] == bob.receive_json()["message"] == "the end"
        assert ann.receive_text() == f"User {bob_is} disconnected"


def test_data_that_is_no_text(client: ClientFactory) -> None:
    """Bytes go as bytes, and everything else as JSON."""
    app, room = chat()

    @app.post("/send")
    async def send() -> None:
        await room.broadcast(b"\x00\x01")
        await room.broadcast({"a": 1})

    with client(app) as caller, caller.websocket_connect("/ws/ann") as ann:
        caller.post("/send")
        assert ann.receive_bytes() == b"\x00\x01"
        assert ann.receive_text() == '{"a":1}'


def test_the_last_messages_come_first(client: ClientFactory) -> None:
    app, _ = chat(replay=2)
    app.channels = MemoryChannels(history=10)
    with client(app) as caller:
        with caller.websocket_connect("/ws/ann") as ann:
            for text in "abc":
                ann.send_text(text)
            assert [ann.receive_text() for _ in range(3)] == ["ann: a", "ann: b", "ann: c"]
        with caller.websocket_connect("/ws/bob") as bob:
            assert [bob.receive_text() for _ in range(2)] == ["ann: b", "ann: c"]
            bob.send_text("d")
            assert bob.receive_text() == "bob: d"


class SlowSocket:
    """A WebSocket whose client takes one message and no more."""

    application_state = WebSocketState.CONNECTED

    def __init__(self, app: Velithon) -> None:
        self.scope = {"app": app}
        self.sent: list[str] = []
        self.stuck = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def send_text(self, text: str) -> None:
        """Wait."""
        self.stuck.set()
        await self.goes_on.wait()
        self.sent.append(text)

    async def close(self, code: int) -> None:
        """Note the code."""
        self.closed.set_result(code)


@pytest.mark.asyncio
async def test_a_slow_client_is_disconnected_where_the_room_says_so() -> None:
    """It gets what was queued before; the publisher never waits for it."""
    app = Velithon()
    room = Room("lobby", capacity=2, on_full="disconnect")
    slow: Any = SlowSocket(app)
    await room.connect(slow)
    await room.broadcast("0")
    async with asyncio.timeout(5):
        await slow.stuck.wait()
        for number in range(1, 10):
            await room.broadcast(str(number))
        slow.goes_on.set()
        assert await slow.closed == 1013
        assert slow.sent == ["0", "1", "2"]


def test_a_room_that_knows_no_channels_says_so() -> None:
    with pytest.raises(RuntimeError, match="app.channels"):
        _ = Room("lobby").channels


def test_channels_are_injected(client: ClientFactory) -> None:
    """As the application's own, and from a container."""

    class Services(ServiceContainer):
        channels = SingletonProvider(MemoryChannels)

    services = Services()
    app = Velithon()
    app.register_container(services)

    @app.get("/own")
    async def own(channels: Annotated[Channels, Depends(get_channels)]) -> bool:
        return channels is app.channels

    @app.get("/provided")
    async def provided(channels: Annotated[Channels, Provide[services.channels]]) -> str:
        return type(channels).__name__

    with client(app) as caller:
        assert caller.get("/own").json() is True
        assert caller.get("/provided").json() == "MemoryChannels"


def test_channels_are_closed_with_their_application(client: ClientFactory) -> None:
    """Whoever still listens is let go."""
    app = Velithon()
    ended: list[bool] = []

    @app.on_event("startup")
    async def start() -> None:
        async def listen() -> None:
            async with app.channels.subscribe("news") as subscription:
                ready.set()
                async for _ in subscription:
                    pass
                ended.append(True)

        ready = asyncio.Event()
        app.state.task = asyncio.create_task(listen())
        await ready.wait()

    with client(app):
        assert ended == []
    assert ended == [True]


def test_an_application_takes_channels_or_a_url() -> None:
    mine = MemoryChannels()
    assert Velithon(channels=mine).channels is mine
    assert Velithon(channels="memory://").channels is not mine
    with pytest.raises(ValueError, match="begins with"):
        _ = Velithon(channels="amqp://localhost").channels


def test_a_browser_that_comes_back_gets_the_events_that_it_missed(client: ClientFactory) -> None:
    """It sends the last event's id as `Last-Event-ID`; an id that is none is its mistake."""
    app = Velithon(channels=MemoryChannels(history=10))

    @app.post("/publish")
    async def publish(word: str) -> str | None:
        return await app.channels.publish("news", word)

    @app.get("/events")
    async def events(last_event_id: Annotated[str | None, Header()] = None) -> EventSourceResponse:
        found = app.channels.events("news", last_event_id=last_event_id)
        return EventSourceResponse(_first_two(found))

    with client(app) as caller:
        ids = [caller.post("/publish", params={"word": word}).json() for word in ("one", "two", "three")]
        assert caller.get("/events", headers={"last-event-id": "mine"}).status_code == 400
        response = caller.get("/events", headers={"last-event-id": ids[0]})
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = ["data: two", f"id: {ids[1]}", "data: three", f"id: {ids[2]}"]
    assert [line for line in response.text.splitlines() if line] == lines


async def _first_two(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    for _ in range(2):
        yield await anext(events)
