"""What a message to a room of 1,000 subscribers takes: `python -m benchmarks.channels`.

One process publishes, and the subscribers are in 1, 2 and 4 other processes. A message counts as delivered when each
subscriber has taken it from its queue. Redis is started on a free port, from the command `redis-server`.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier

from velithon.channels import Channels, channels_from_url


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.channels", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    options = parser.parse_args()
    print(f"{'channels':<14}{'workers':>8}{'messages/s':>12}{'deliveries/s':>14}{'publish, us':>13}")
    seconds, publish = asyncio.run(_in_memory(options.subscribers, options.messages))
    _print("memory", 1, options, seconds, publish)
    if shutil.which("redis-server") is None:
        print("redis-server is not installed; the rest is left out")
        return
    with _redis() as url:
        for name, history in (("redis", 0), ("redis streams", 10_000)):
            for workers in options.workers:
                seconds, publish = _over_redis(url, history, workers, options.subscribers, options.messages)
                _print(name, workers, options, seconds, publish)


def _print(name: str, workers: int, options: argparse.Namespace, seconds: float, publish: float) -> None:
    rate = options.messages / seconds
    print(f"{name:<14}{workers:>8}{rate:>12.0f}{rate * options.subscribers:>14.0f}{publish * 1e6:>13.0f}")


async def _in_memory(subscribers: int, messages: int) -> tuple[float, float]:
    channels = channels_from_url("memory://")
    ready = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(_subscribe(channels, messages, ready)) for _ in range(subscribers)]
    for _ in tasks:
        await ready.acquire()
    return await _publish(channels, messages, asyncio.gather(*tasks))


async def _subscribe(channels: Channels, messages: int, ready: asyncio.Semaphore) -> None:
    async with channels.subscribe("room", capacity=messages) as subscription:
        ready.release()
        for _ in range(messages):
            await anext(subscription)


async def _publish(channels: Channels, messages: int, delivered: asyncio.Future[list[None]]) -> tuple[float, float]:
    begin = time.perf_counter()
    for number in range(messages):
        await channels.publish("room", f"message {number}")
    published = time.perf_counter() - begin
    await delivered
    return time.perf_counter() - begin, published / messages


def _over_redis(url: str, history: int, workers: int, subscribers: int, messages: int) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(workers + 1), context.Barrier(workers + 1)
    arguments = (url, history, subscribers // workers, messages, ready, done)
    processes = [context.Process(target=_worker, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    ready.wait(60)
    seconds = asyncio.run(_publish_to_processes(url, history, messages, done))
    for process in processes:
        process.join(30)
    return seconds


async def _publish_to_processes(url: str, history: int, messages: int, done: Barrier) -> tuple[float, float]:
    async with channels_from_url(url, history=history) as channels:
        await channels.publish("warm-up", "")
        begin = time.perf_counter()
        for number in range(messages):
            await channels.publish("room", f"message {number}")
        published = time.perf_counter() - begin
        await asyncio.to_thread(done.wait, 120)
        return time.perf_counter() - begin, published / messages


def _worker(url: str, history: int, subscribers: int, messages: int, ready: Barrier, done: Barrier) -> None:
    asyncio.run(_listen(url, history, subscribers, messages, ready, done))


async def _listen(url: str, history: int, subscribers: int, messages: int, ready: Barrier, done: Barrier) -> None:
    async with channels_from_url(url, history=history) as channels:
        entered = asyncio.Semaphore(0)
        tasks = [asyncio.create_task(_subscribe(channels, messages, entered)) for _ in range(subscribers)]
        for _ in tasks:
            await entered.acquire()
        await asyncio.to_thread(ready.wait, 60)
        await asyncio.gather(*tasks)
        await asyncio.to_thread(done.wait, 120)


@contextmanager
def _redis() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
