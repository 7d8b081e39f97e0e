"""What a message to a room of 1,000 subscribers takes, beside Litestar and Redis: `python -m benchmarks.channels`.

One process publishes, and the subscribers are in 1, 2 and 4 other processes. A message counts as delivered when each
subscriber has taken it from its queue. Redis is started on a free port, from the command `redis-server`. Litestar runs
in an environment of its own. "redis-py" is what the two stand on: a connection for each process, and one queue there
for each subscriber.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from importlib import import_module
from multiprocessing.synchronize import Barrier
from typing import Any, Protocol

KINDS = {"memory": ("memory://", 0), "redis": ("redis", 0), "redis streams": ("redis", 10_000)}


class Hub(Protocol):
    """What is measured: see `benchmarks.hubs`."""

    async def publish(self, text: str) -> None:
        """Send a message to the room."""

    def subscribe(self, capacity: int) -> AbstractAsyncContextManager[Callable[[], Any]]:
        """Enter the room; what is given awaits the next message."""


def open_hub(framework: str, url: str, history: int) -> AbstractAsyncContextManager[Hub]:
    """Return the hub of a framework; only its module imports it."""
    opened: AbstractAsyncContextManager[Hub] = import_module(f"benchmarks.hubs.{framework}").open_hub(url, history)
    return opened


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.channels", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--frameworks", nargs="*", default=["velithon", "litestar", "redis_py"])
    parser.add_argument("--redis", help="the URL of a Redis; by default one is started")
    options = parser.parse_args()
    if options.redis:
        for framework in options.frameworks:
            _measure(framework, options.redis, options)
        return
    if shutil.which("redis-server") is None:
        raise SystemExit("redis-server is not installed: apt-get install redis-server")
    _write("", "channels", "workers", "messages/s", "deliveries/s", "publish, us")
    with _redis() as url:
        for framework in options.frameworks:
            _run_in_its_environment(framework, url, options)


def _run_in_its_environment(framework: str, url: str, options: argparse.Namespace) -> None:
    from benchmarks.envs import python_of

    numbers = ["--subscribers", str(options.subscribers), "--messages", str(options.messages)]
    numbers += ["--workers", *map(str, options.workers)]
    python = python_of("litestar" if framework == "litestar" else "velithon")
    command = [str(python), "-m", "benchmarks.channels", "--frameworks", framework, "--redis", url, *numbers]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})


def _measure(framework: str, redis: str, options: argparse.Namespace) -> None:
    for kind, (url, history) in KINDS.items():
        if framework == "redis_py" and kind != "redis":
            continue
        if kind == "memory":
            seconds, publish = asyncio.run(_in_memory(framework, options.subscribers, options.messages))
            _print(framework, kind, 1, options, seconds, publish)
            continue
        for workers in options.workers:
            where = (framework, redis if url == "redis" else url, history)
            seconds, publish = _over_processes(where, workers, options.subscribers, options.messages)
            _print(framework, kind, workers, options, seconds, publish)


def _print(
    framework: str, kind: str, workers: int, options: argparse.Namespace, seconds: float, publish: float
) -> None:
    rate = options.messages / seconds
    numbers = (workers, rate, rate * options.subscribers, publish * 1e6)
    _write(framework, kind, *(f"{number:.0f}" for number in numbers))


def _write(framework: str, kind: str, workers: str, messages: str, deliveries: str, publish: str) -> None:
    print(f"{framework:<10}{kind:<14}{workers:>8}{messages:>12}{deliveries:>14}{publish:>13}", flush=True)


async def _in_memory(framework: str, subscribers: int, messages: int) -> tuple[float, float]:
    async with open_hub(framework, "memory://", 0) as hub, _subscribed(hub, subscribers, messages) as delivered:
        return await _publish(hub, messages, delivered)


async def _subscribe(hub: Hub, messages: int, ready: asyncio.Semaphore) -> None:
    async with hub.subscribe(messages) as take:
        ready.release()
        for _ in range(messages):
            await take()


@asynccontextmanager
async def _subscribed(hub: Hub, subscribers: int, messages: int) -> AsyncIterator[asyncio.Future[Any]]:
    """Let many subscribers take messages; give a future that ends when each has had all."""
    ready = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(_subscribe(hub, messages, ready)) for _ in range(subscribers)]
    for _ in tasks:
        await ready.acquire()
    yield asyncio.gather(*tasks)


async def _publish(hub: Hub, messages: int, delivered: asyncio.Future[Any]) -> tuple[float, float]:
    """Return the seconds until all was delivered, and those of one call that publishes."""
    begin = time.perf_counter()
    for number in range(messages):
        await hub.publish(f"message {number}")
    published = time.perf_counter() - begin
    await delivered
    return time.perf_counter() - begin, published / messages


def _over_processes(where: tuple[str, str, int], workers: int, subscribers: int, messages: int) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(workers + 1), context.Barrier(workers + 1)
    arguments = (where, subscribers // workers, messages, ready, done)
    processes = [context.Process(target=_worker, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    ready.wait(60)
    seconds = asyncio.run(_publish_to_processes(where, messages, done))
    for process in processes:
        process.join(30)
    return seconds


async def _publish_to_processes(where: tuple[str, str, int], messages: int, done: Barrier) -> tuple[float, float]:
    async with open_hub(*where) as hub:
        delivered = asyncio.ensure_future(asyncio.to_thread(done.wait, 120))
        return await _publish(hub, messages, delivered)


def _worker(where: tuple[str, str, int], subscribers: int, messages: int, ready: Barrier, done: Barrier) -> None:
    asyncio.run(_listen(where, subscribers, messages, ready, done))


async def _listen(where: tuple[str, str, int], subscribers: int, messages: int, ready: Barrier, done: Barrier) -> None:
    async with open_hub(*where) as hub, _subscribed(hub, subscribers, messages) as delivered:
        await asyncio.to_thread(ready.wait, 60)
        await delivered
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
