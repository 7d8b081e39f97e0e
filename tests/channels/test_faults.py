"""Channels over a Redis that restarts, answers nothing, is full or is gone."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.services.redis import RedisServer, redis_server
from velithon.channels import Channels, ChannelsError, ChannelsUnavailableError, Subscription, channels_from_url

pytestmark = pytest.mark.asyncio

ROOT = Path(__file__).resolve().parents[2]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[RedisServer]:
    """A Redis that keeps what it has on a disk, and that a test may disturb."""
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        async with asyncio.timeout(30):
            yield server


def over(server: RedisServer, history: int = 1000, **options: Any) -> Channels:
    return channels_from_url(server.url, history=history, timeout=1.0, **options)


async def publish(channels: Channels, data: Any) -> None:
    """Publish as soon as that is possible."""
    while True:
        try:
            await channels.publish("news", data)
        except ChannelsUnavailableError:
            await asyncio.sleep(0.01)
        else:
            return


async def take(subscription: Subscription, count: int) -> list[Any]:
    return [(await anext(subscription)).data for _ in range(count)]


@pytest.mark.parametrize("name", ["news", "ne*"])
async def test_nothing_is_lost_when_redis_restarts(server: RedisServer, name: str) -> None:
    """A listener that comes back reads what was published before it was there again."""
    mine, other = over(server), over(server)
    async with mine, other, mine.subscribe(name) as subscription:
        for number in range(10):
            await publish(other, number)
        server.restart()
        for number in range(10, 20):
            await publish(other, number)
        server.restart()
        for number in range(20, 30):
            await publish(other, number)
        assert await take(subscription, 30) == list(range(30))


async def test_more_is_recovered_than_a_queue_holds(server: RedisServer) -> None:
    """A recovery waits for who reads."""
    mine, other = over(server), over(server)
    async with mine, other, mine.subscribe("news", capacity=150) as subscription:
        await publish(other, 0)
        assert await take(subscription, 1) == [0]
        link: Any = mine
        link.link._listener.cancel()  # as if the connection were away for long
        await asyncio.wait((link.link._listener,))
        for number in range(1, 600):
            await publish(other, number)
        link.link._listener = asyncio.create_task(link.link._listen())
        assert await take(subscription, 599) == list(range(1, 600))
        assert subscription.dropped == 0


async def test_without_a_history_what_follows_a_restart_arrives(server: RedisServer) -> None:
    mine, other = over(server, history=0), over(server, history=0)
    async with mine, other, mine.subscribe("news") as subscription:
        server.restart()
        found = asyncio.create_task(anext(subscription))
        while not found.done():
            await publish(other, "after")
            await asyncio.sleep(0.01)
        assert (await found).data == "after"


async def test_a_redis_that_is_gone_is_an_error_at_once(server: RedisServer) -> None:
    """Of each operation, within its time; and all is well when it is back."""
    async with over(server) as channels:
        await channels.publish("news", 1)
        server.kill()
        for operation in (channels.publish("news", 2), channels.history("news"), channels.members("news")):
            with pytest.raises(ChannelsUnavailableError):
                await operation
        with pytest.raises(ChannelsUnavailableError):
            async with channels.subscribe("news"):
                pass
        server.start()
        await publish(channels, 3)
        async with channels.subscribe("news", after="0") as subscription:
            assert await take(subscription, 2) == [1, 3]


async def test_a_redis_that_answers_nothing_is_an_error_in_time(server: RedisServer) -> None:
    async with over(server) as channels:
        await channels.publish("news", 1)
        server.pause()
        begin = time.monotonic()
        with pytest.raises(ChannelsUnavailableError):
            await channels.publish("news", 2)
        assert time.monotonic() - begin < 3
        server.resume()
        await publish(channels, 3)


async def test_a_redis_that_is_full_says_so(server: RedisServer) -> None:
    async with over(server) as channels:
        server.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(ChannelsError, match="maxmemory"):
            await channels.publish("news", "x" * 1000)
        server.command("CONFIG", "SET", "maxmemory", "0")
        await channels.publish("news", "y")


async def test_a_process_that_is_killed_leaves_its_rooms(server: RedisServer) -> None:
    """Its members run out; those of others stay, because they are renewed."""
    source = f"""
import asyncio
from velithon.channels import channels_from_url
async def main():
    channels = channels_from_url({server.url!r}, presence_seconds=0.6)
    async with channels.subscribe("room", member="killed"):
        print("in", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    async with over(server, presence_seconds=0.6) as channels, channels.subscribe("room", member="here"):
        with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            assert await channels.members("room") == ["here", "killed"]
            process.send_signal(signal.SIGKILL)
            while "killed" in await channels.members("room"):
                await asyncio.sleep(0.05)
        for _ in range(10):
            await asyncio.sleep(0.1)
            assert await channels.members("room") == ["here"]
