"""What is private of Granian, and used here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from granian._granian import BUILD_GIL
from granian._loops import loops
from granian.server.mp import MPServer

__all__ = ["BUILD_GIL", "PRIVATE", "REQUEST_TASK", "loops", "spawn_asgi_worker", "spawn_rsgi_worker"]

REQUEST_TASK = "future_watcher"
"""Granian runs each request in a task of a coroutine of this name (`granian/_futures.py`)."""

PRIVATE = {
    "granian._granian:BUILD_GIL": "tells a build for free-threaded Python, which is refused",
    "granian._loops:loops": "tells which event loops are installed",
    "granian.server.mp:MPServer._spawn_asgi_lifespan_worker": "is wrapped to bound a worker's shutdown",
    "granian.server.mp:MPServer._spawn_rsgi_worker": "is wrapped to bound a worker's shutdown",
}
"""Module and name -> what it is used for."""

spawn_asgi_worker: Callable[..., Any] = MPServer._spawn_asgi_lifespan_worker
spawn_rsgi_worker: Callable[..., Any] = MPServer._spawn_rsgi_worker
