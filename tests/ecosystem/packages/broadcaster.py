"""Messages from one WebSocket to all others."""
# /// script
# dependencies = ["broadcaster"]
# ///

from contextlib import asynccontextmanager

import anyio
from broadcaster import Broadcast
from fastapi import FastAPI, WebSocket

from tests.ecosystem.plugin import Clients


def make_app() -> FastAPI:
    broadcast = Broadcast("memory://")

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        async with broadcast:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/room/{name}")
    async def chat(websocket: WebSocket, name: str):
        await websocket.accept()

        async def speak():
            async for message in websocket.iter_text():
                await broadcast.publish(name, message)
            group.cancel_scope.cancel()

        async with broadcast.subscribe(name) as events, anyio.create_task_group() as group:
            await websocket.send_text("joined")
            group.start_soon(speak)
            async for event in events:
                await websocket.send_text(event.message)

    @app.post("/room/{name}")
    async def announce(name: str, message: str):
        await broadcast.publish(name, message)

    return app


def test_all_in_a_room_hear_it(client: Clients) -> None:
    with client(make_app()) as http:
        with http.websocket_connect("/room/blue") as ada, http.websocket_connect("/room/blue") as bob:
            assert ada.receive_text() == bob.receive_text() == "joined"
            ada.send_text("hello")
            assert ada.receive_text() == bob.receive_text() == "hello"
            assert http.post("/room/blue?message=closing").status_code == 200
            assert ada.receive_text() == bob.receive_text() == "closing"
