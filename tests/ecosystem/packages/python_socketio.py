"""Events both ways over a WebSocket and by polling, beside endpoints, with rooms and answers."""
# /// script
# dependencies = ["python-socketio[asyncio_client]"]
# ///

import asyncio

import httpx2
import pytest
import socketio
from fastapi import FastAPI

from tests.ecosystem.plugin import Servers

# A server that stops waits for polls, which end with the sum of both.
sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", ping_interval=3, ping_timeout=9)
app = FastAPI()
app.mount("/socket.io", socketio.ASGIApp(sio, socketio_path=None))


@sio.event
async def connect(sid, environ, auth):
    if auth != {"token": "right"}:
        raise socketio.exceptions.ConnectionRefusedError("Who are you?")
    await sio.save_session(sid, {"agent": environ.get("HTTP_X_AGENT")})


@sio.event
async def join(sid, room):
    await sio.enter_room(sid, room)
    return (await sio.get_session(sid))["agent"]


@app.post("/announce/{room}")
async def announce(room: str, text: str):
    await sio.emit("news", {"text": text}, room=room)


@pytest.mark.anyio
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_events_go_both_ways(server: Servers, transport: str) -> None:
    with server() as running:
        heard = asyncio.Queue()
        options = {"transports": [transport], "headers": {"x-agent": "ada"}, "retry": False}
        ada = socketio.AsyncClient(reconnection=False)
        ada.on("news", heard.put)
        await ada.connect(running.url, auth={"token": "right"}, **options)
        try:
            assert await ada.call("join", "blue", timeout=10) == "ada"
            async with httpx2.AsyncClient() as http:
                for room in ("red", "blue"):
                    await http.post(f"{running.url}/announce/{room}", params={"text": room})
            assert await asyncio.wait_for(heard.get(), 10) == {"text": "blue"}
        finally:
            # A client that polls would wait for the end of its poll.
            await ada.eio.disconnect(abort=True)


@pytest.mark.anyio
async def test_a_connection_is_refused(server: Servers) -> None:
    with server() as running:
        client = socketio.AsyncClient(reconnection=False)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(running.url, auth={"token": "wrong"}, transports=["websocket"], retry=False)
