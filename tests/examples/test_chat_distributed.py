"""The distributed chat on real servers: two workers, one room."""

import asyncio
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import yaml
from websockets.asyncio.client import ClientConnection, connect

from tests.servers import Server, ServerName, serve
from tests.services.redis import redis_server

pytestmark = pytest.mark.server

SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=["granian-rsgi", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Generator[Server, None, None]:
    """The chat on two workers of a server."""
    with (
        redis_server() as redis,
        serve(
            "examples.chat_distributed:app",
            cast("ServerName", request.param),
            "--workers",
            "2",
            env={"REDIS_URL": redis.url},
        ) as running,
    ):
        yield running


async def hear(socket: ClientConnection, kind: str, who: str) -> dict[str, Any]:
    """Return the next of a kind from somebody."""
    async with asyncio.timeout(SECONDS):
        while True:
            heard: dict[str, Any] = json.loads(await socket.recv())
            if (heard["kind"], heard["who"]) == (kind, who):
                return heard


def test_members_of_two_workers_hear_each_other(server: Server) -> None:
    """Also those who left, those who come later, and those who only read."""

    async def talk() -> None:
        names = [f"member-{number}" for number in range(8)]  # some on each worker
        sockets = {name: await connect(f"ws://127.0.0.1:{server.port}/chat?name={name}") for name in names}
        for socket in sockets.values():
            await hear(socket, "joined", names[-1])
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/members")).json() == names
            await sockets[names[0]].send(json.dumps({"text": "hello"}))
            for socket in sockets.values():
                assert (await hear(socket, "said", names[0]))["text"] == "hello"
            await sockets[names[1]].send(json.dumps({"text": ""}))
            await hear(sockets[names[1]], "refused", names[1])
            await sockets[names[0]].close()
            await hear(sockets[names[1]], "left", names[0])
            late = await connect(f"ws://127.0.0.1:{server.port}/chat?name=late")
            assert (await hear(late, "said", names[0]))["text"] == "hello"
            async with client.stream("GET", "/log", headers={"last-event-id": "0"}) as response:
                async with asyncio.timeout(SECONDS):
                    async for line in response.aiter_lines():
                        if line.startswith("data:") and "hello" in line:
                            break
        for socket in (*sockets.values(), late):
            await socket.close()

    asyncio.run(talk())


def test_the_compose_file_starts_it_with_redis() -> None:
    services = yaml.safe_load((ROOT / "examples" / "chat_distributed.compose.yaml").read_text())["services"]
    for name in ("one", "two"):
        assert "examples/chat_distributed.py:app" in services[name]["command"]
        assert services[name]["environment"]["REDIS_URL"].startswith("redis://redis")
