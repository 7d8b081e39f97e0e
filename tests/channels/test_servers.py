"""One room over several workers of real servers."""

import asyncio
import json
from collections.abc import Sequence

import pytest
import websockets

from tests.effort import FULL
from tests.servers import ServerName, serve
from tests.services.redis import redis_server

APP = """
import os
from velithon import Velithon, WebSocket
from velithon.channels import Room, channels_from_url

app = Velithon(channels=channels_from_url(os.environ["REDIS_URL"], history=20_000))
room = Room("lobby", capacity=20_000)

@app.websocket("/ws/{user}")
async def chat(websocket: WebSocket, user: str):
    async with room.connected(websocket, user):
        await websocket.send_json({"pid": os.getpid()})
        async for text in websocket.iter_text():
            await room.broadcast(text)

@app.get("/members")
async def members() -> list[str]:
    return await app.channels.members("lobby")
"""

CLIENTS, MESSAGES = (100, 10_000) if FULL else (20, 400)
SPEAKERS = 10


@pytest.mark.server
@pytest.mark.timeout(300 if FULL else 60)
@pytest.mark.parametrize("server", ["granian-rsgi", "uvicorn"])
def test_two_workers_are_one_room(server: ServerName) -> None:
    """Each client gets each message once, those of one speaker in their order, whichever worker it is connected to."""
    with redis_server() as redis, serve(APP, server, "--workers", "2", env={"REDIS_URL": redis.url}) as running:
        asyncio.run(_talk(running.port))


async def _talk(port: int) -> None:
    async with asyncio.timeout(240 if FULL else 40):
        clients: list[websockets.ClientConnection] = []
        pids: set[int] = set()
        # Which worker takes a connection is up to the kernel.
        while len(clients) < CLIENTS or len(pids) < 2:
            assert len(clients) < CLIENTS + 200, "all clients came to one worker"
            url = f"ws://127.0.0.1:{port}/ws/user-{len(clients)}"
            clients.append(await websockets.connect(url, compression=None, max_queue=None))
            pids.add(json.loads(await clients[-1].recv())["pid"])
        hears = [asyncio.create_task(_hear(client)) for client in clients]
        per_speaker = MESSAGES // SPEAKERS
        async with asyncio.TaskGroup() as group:
            for speaker in range(SPEAKERS):
                group.create_task(_speak(clients[speaker], speaker, per_speaker))
        for found in await asyncio.gather(*hears):
            assert len(found) == MESSAGES
            for speaker in range(SPEAKERS):
                assert [number for who, number in found if who == speaker] == list(range(per_speaker))
        for client in clients:
            await client.close()


async def _speak(client: websockets.ClientConnection, speaker: int, count: int) -> None:
    for number in range(count):
        await client.send(json.dumps([speaker, number]))


async def _hear(client: websockets.ClientConnection) -> Sequence[tuple[int, int]]:
    return [tuple(json.loads(await client.recv())) for _ in range(MESSAGES)]
