"""A limit of time that lasts: who swallows the first cancellation gets another.

`asyncio.wait_for` of Python 3.11, and so every library that calls it, may return although its caller was cancelled.
With `asyncio.timeout` the job would then go on without a limit.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["TimeLimit"]

AGAIN_SECONDS = 5.0
"""How long code that was cancelled may take to clean up before it is cancelled again."""


class TimeLimit:
    """Raise TimeoutError in a block that takes too long.

    Args:
        seconds: How long it may take; `None` is no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._cancellations = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        if self._seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._cancel)
        return self

    def _cancel(self) -> None:
        assert self._task is not None
        self._cancellations += 1
        self._task.cancel()
        self._timer = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._cancel)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._cancellations or self._task is None:
            return
        left = 0
        for _ in range(self._cancellations):
            left = self._task.uncancel()
        # Somebody else's cancellation, a stop of the worker, goes on.
        if kind is not None and issubclass(kind, asyncio.CancelledError) and not left:
            raise TimeoutError(f"It did not end within {self._seconds:g} seconds.") from error
