"""An endpoint that is run outermost: to the layers, and to the endpoint, it makes no difference."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import traceback
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.memory import Scope, Websocket, turn
from velithon import Velithon, WebSocket, WebSocketDisconnect

if TYPE_CHECKING:
    from tests.conftest import ClientFactory

ROOM: contextvars.ContextVar[str] = contextvars.ContextVar("ROOM", default="")


class Boom(Exception):
    """What an endpoint raises."""


class Layer:
    """A layer that calls a function instead of what is inside, which it hands over."""

    def __init__(self, app: Any, run: Any) -> None:
        self.app = app
        self.run = run

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.run(self.app(scope, receive, send))
        else:
            await self.app(scope, receive, send)


def depth() -> int:
    """Return how many functions are between here and where the task began."""
    return len(traceback.extract_stack())


async def serve(app: Any, protocol: Websocket) -> None:
    """Run one connection of an application over RSGI."""
    await app.__rsgi__(Scope(proto="ws"), protocol)


def test_the_depth_does_not_grow_with_the_layers(client: ClientFactory) -> None:
    """Which is what it is for."""
    depths: list[int] = []

    async def run(inside: Any) -> None:
        await inside

    for layers in (0, 10):
        app = Velithon()

        @app.websocket("/")
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            depths.append(depth())

        for _ in range(layers):
            app.add_middleware(Layer, run=run)
        with client(app).websocket_connect("/"):
            pass
    assert depths[0] == depths[1]


def test_task_and_context_are_those_of_the_layers(client: ClientFactory) -> None:
    """Whatever they set is seen inside, and the other way round."""
    seen: list[Any] = []
    app = Velithon()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await asyncio.sleep(0)
        seen.append((asyncio.current_task(), ROOM.get()))
        ROOM.set("inner")

    async def run(inside: Any) -> None:
        ROOM.set("outer")
        await asyncio.sleep(0)
        await inside
        await asyncio.sleep(0)
        seen.append((asyncio.current_task(), ROOM.get()))

    app.add_middleware(Layer, run=run)
    with client(app).websocket_connect("/"):
        pass
    (inner_task, inner), (outer_task, outer) = seen
    assert inner_task is outer_task
    assert (inner, outer) == ("outer", "inner")


def test_exceptions_go_through_the_layers_and_to_the_handlers(client: ClientFactory) -> None:
    """A layer may answer them, or raise another; handlers are asked before."""
    seen: list[str] = []

    async def run(inside: Any) -> None:
        try:
            await inside
        except Boom as exc:
            await asyncio.sleep(0)
            seen.append(f"layer: {exc}")
            raise LookupError("from the layer") from exc

    def app_with(handler: Any) -> Velithon:
        app = Velithon(exception_handlers={} if handler is None else {Boom: handler})

        @app.websocket("/")
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.receive_text()
            raise Boom("endpoint")

        app.add_middleware(Layer, run=run)
        return app

    async def handler(websocket: Any, exc: Exception) -> None:
        seen.append(f"handler: {exc}")
        await websocket.close(1011)

    def talk(app: Velithon) -> None:
        with client(app).websocket_connect("/") as socket:
            socket.send_text("x")
            socket.receive_text()

    with pytest.raises(LookupError, match="from the layer"):
        talk(app_with(None))
    with pytest.raises(WebSocketDisconnect):
        talk(app_with(handler))
    assert seen == ["layer: endpoint", "handler: endpoint"]


def test_a_layer_with_a_task_of_its_own(client: ClientFactory) -> None:
    """What is inside stays in that task."""
    tasks: list[Any] = []
    app = Velithon()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        tasks.append(asyncio.current_task())
        await websocket.send_text(await websocket.receive_text())

    async def run(inside: Any) -> None:
        task = asyncio.ensure_future(inside)
        tasks.append(task)
        await task

    app.add_middleware(Layer, run=run)
    with client(app).websocket_connect("/") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
    assert tasks[0] is tasks[1]


def test_an_application_inside_another(client: ClientFactory) -> None:
    """The depth is that of the outer one; a layer between them sees what the inner one raises."""
    depths: list[int] = []
    inner = Velithon()
    outer = Velithon()

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        depths.append(depth())
        await websocket.send_text(await websocket.receive_text())

    inner.add_api_websocket_route("/", endpoint)
    outer.add_api_websocket_route("/", endpoint)
    outer.mount("/inner", inner)
    for path in ("/", "/inner/"):
        with client(outer).websocket_connect(path) as socket:
            socket.send_text("a")
            assert socket.receive_text() == "a"
    assert depths[0] == depths[1]


@pytest.mark.asyncio
async def test_a_time_limit_in_a_layer() -> None:
    """It cancels the endpoint, which cleans up first."""
    seen: list[str] = []
    app = Velithon()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        finally:
            await websocket.send_text("bye")
            seen.append("endpoint")

    async def run(inside: Any) -> None:
        try:
            async with asyncio.timeout(0):
                await inside
        except TimeoutError:
            seen.append("layer")

    app.add_middleware(Layer, run=run)
    protocol = Websocket()
    await serve(app, protocol)
    assert seen == ["endpoint", "layer"]
    assert protocol.sent == ["bye"]
    assert protocol.closes == [None]


@pytest.mark.asyncio
async def test_a_server_that_cancels() -> None:
    """The endpoint and the layers are told, in this order."""
    seen: list[str] = []
    app = Velithon()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except asyncio.CancelledError:
            seen.append("endpoint")
            raise

    async def run(inside: Any) -> None:
        try:
            await inside
        finally:
            seen.append("layer")

    app.add_middleware(Layer, run=run)
    running = asyncio.ensure_future(serve(app, Websocket()))
    await turn()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert seen == ["endpoint", "layer"]


@pytest.mark.asyncio
async def test_the_servers_transport_is_let_go_of() -> None:
    """Granian ends the connection when it is freed: no exception on its way may keep it until garbage is collected."""

    class Breaking(Websocket):
        def receive(self) -> asyncio.Future[Any]:  # type: ignore[override] # as Granian's
            return asyncio.get_running_loop().create_future()

    app = Velithon()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise Boom

    await serve(Velithon(), Websocket())  # makes what is made once
    protocol = Breaking()
    transport = weakref.ref(protocol)
    gc.disable()
    try:
        with pytest.raises(Boom):
            await serve(app, protocol)
        del protocol
        await turn()
        assert transport() is None
    finally:
        gc.enable()
