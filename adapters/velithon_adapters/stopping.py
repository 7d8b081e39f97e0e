"""The end of a worker, as everybody in its process learns of it.

A server that is told to stop says so here first. Event streams and WebSockets end at once: their clients come back, to
another worker. Everything else that is in hand has time until `deadline`; but a stream that is still being sent when
half of that is over is broken off, as it may never end. What may take a while afterwards asks `time_left`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Stopping", "stopping"]


class Stopping:
    """Whether the server of this process stops, and who wants to know.

    Attributes:
        active: Whether it does.
        halfway: Whether half of the time for what is in hand is over.
        deadline: When the process will have ended, by `time.monotonic`; ``None`` while nobody said so.
        at_once: Called when the stop begins.
        streams: Called when half of the time for what is in hand is over.
    """

    def __init__(self) -> None:
        self.active = False
        self.halfway = False
        self.deadline: float | None = None
        self.at_once: set[Callable[[], object]] = set()
        self.streams: set[Callable[[], object]] = set()

    def begin(self, timeout: float, reserve: float) -> None:
        """Begin to stop, in the loop's thread.

        Args:
            timeout: Seconds until the process ends.
            reserve: Those of them that are kept for the application's shutdown.
        """
        if self.active:
            return
        self.active = True
        self.deadline = time.monotonic() + timeout
        asyncio.get_running_loop().call_later((timeout - reserve) / 2, self._break_off)
        _call_all(self.at_once)

    def _break_off(self) -> None:
        self.halfway = True
        _call_all(self.streams)

    def time_left(self) -> float | None:
        """Return how many seconds the process has; ``None`` when it does not stop."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


def _call_all(callbacks: set[Callable[[], object]]) -> None:
    for callback in tuple(callbacks):
        callback()


stopping = Stopping()
"""That of this process."""
