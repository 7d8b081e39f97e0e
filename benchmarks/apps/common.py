"""What all applications share: data, the services that are injected, the log. Needs the standard library alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

SETUP = os.environ.get("BENCH_SETUP", "plain")
HELLO = {"message": "Hello, World!"}
TEXT = ("x" * 63 + "\n") * 160
FILE_SIZE = 50 * 1024
CHUNK = b"y" * 99 + b"\n"
CHUNKS = 100
RANGE = (10_240, 20_480)
EVENT = "a text message of 32 characters."
ORIGIN = "https://example.org"
LAYER_HEADER = ("x-layer", "1")


def file() -> Path:
    """Return the file of 50 KiB that is served, alone in its directory, written where it is missing."""
    path = Path(tempfile.gettempdir()) / "velithon-bench" / "50k.txt"
    path.parent.mkdir(exist_ok=True)
    if not path.is_file() or path.stat().st_size != FILE_SIZE:
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes((b"z" * 63 + b"\n") * (FILE_SIZE // 64))
        partial.replace(path)
    return path


def route_count(setup: str) -> int:
    """Return how many routes a setup asks for beside the scenarios' own."""
    return int(setup.removeprefix("routes-")) if setup.startswith("routes-") else 0


def route_paths(setup: str) -> Iterator[str]:
    """Yield the paths of the routes that a setup asks for; each takes an integer `item_id`."""
    for number in range(route_count(setup)):
        yield f"/section{number}/items/{{item_id}}"


class Settings:
    """Stands for configuration: made once."""

    def __init__(self) -> None:
        self.factor = 2


class Repository:
    """Made for each request."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class Service:
    """Made for each request, from a repository."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def total(self, value: int) -> int:
        """Return a number that shows the whole chain is there."""
        return value * self.repository.settings.factor


class Subscribers:
    """The queues of those who read a stream of events."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[str]] = set()

    @contextlib.contextmanager
    def subscribed(self) -> Iterator[asyncio.Queue[str]]:
        """Return a queue that gets every event until the block ends."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self.queues.add(queue)
        try:
            yield queue
        finally:
            self.queues.discard(queue)

    def publish(self) -> dict[str, int]:
        """Give everybody an event; return how many there are."""
        for queue in self.queues:
            queue.put_nowait(EVENT)
        return {"subscribers": len(self.queues)}


def access_logger(name: str = "bench.access") -> logging.Logger:
    """Return a logger that formats and writes its lines, to nowhere."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        handler = logging.StreamHandler(Path(os.devnull).open("w"))  # lives as long as the process
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger
