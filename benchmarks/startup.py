"""What comes before the requests: import, registration, idle memory, and the first request beside the hundredth."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.envs import python_of
from benchmarks.peers import PEERS
from benchmarks.servers import ROOT, serve

__all__ = ["Startup", "measure"]

_CLASS = {"velithon": "from velithon import Velithon as App", "fastapi": "from fastapi import FastAPI as App"}
_IMPORT = """
import time
start = time.process_time()
{imported}
print(time.process_time() - start)
"""
_START = """
import time
start = time.process_time()
{imported}
app = App()

@app.get("/items/{{item_id}}")
async def read(item_id: int, q: str | None = None) -> dict[str, int]:
    return {{"item_id": item_id}}

print(time.process_time() - start)
"""
_REGISTER = """
import time
{imported}
from benchmarks.apps.models import Item

def made(number):
    async def endpoint(item_id: int, item: Item, q: str, n: int = 1) -> Item:
        return item
    return endpoint

functions = [made(number) for number in range({routes})]
app = App()
start = time.process_time()
for number, function in enumerate(functions):
    app.post(f"/section{{number}}/items/{{{{item_id}}}}", name=f"route{{number}}")(function)
print(time.process_time() - start)
"""
_SERVED = {"velithon": "Velithon, Granian RSGI", "fastapi": "FastAPI, Granian ASGI"}
_WARM = 100


@dataclass(frozen=True)
class Startup:
    """One framework's figures, medians.

    Args:
        imported: Processor seconds of the import.
        started: The same with an application and its first typed route, which import what the first import left out.
        registered: Processor seconds of registering the routes.
        idle: Resident bytes of a Granian worker before its first scenario.
        first: Seconds of the first request to a typed route.
        hundredth: Seconds of the hundredth.
    """

    imported: float
    started: float
    registered: float
    idle: float
    first: float
    hundredth: float


def measure(*, repeats: int, routes: int, core: int | None) -> dict[str, Startup]:
    """Measure Velithon and FastAPI in turns.

    Args:
        repeats: Of each figure.
        routes: How many to register: each has a path, two query parameters, a body and a response model.
        core: The processor to run on.

    Raises:
        StartError: A server did not start.
    """
    seen: dict[str, list[tuple[float, ...]]] = {name: [] for name in _CLASS}
    for name, imported in _CLASS.items():
        # Installers compile what they install; a checkout is compiled by its first import.
        _printed(name, _REGISTER.format(imported=imported, routes=1), core)
    for _ in range(repeats):
        for name, imported in _CLASS.items():
            figures = (
                _printed(name, _IMPORT.format(imported=imported), core),
                _printed(name, _START.format(imported=imported), core),
                _printed(name, _REGISTER.format(imported=imported, routes=routes), core),
                *_served(name, core),
            )
            seen[name].append(figures)
    return {name: Startup(*map(statistics.median, zip(*rows, strict=True))) for name, rows in seen.items()}


def _printed(name: str, source: str, core: int | None) -> float:
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [*pinned, str(python_of(name)), "-c", source]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _served(name: str, core: int | None) -> tuple[float, float, float]:
    peer = next(peer for peer in PEERS if peer.name == _SERVED[name])
    with serve(peer, "plain", core) as server:
        idle = server.resident_bytes()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.connect()
        times = [_asked(connection) for _ in range(_WARM)]
        connection.close()
    return idle, times[0], times[-1]


def _asked(connection: Any) -> float:
    start = time.perf_counter()
    connection.request("GET", "/items/3?q=a&n=2")
    connection.getresponse().read()
    return time.perf_counter() - start
