"""Noticing, over RSGI, that the client of a stream has left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from velithon_adapters.stopping import stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from velithon_adapters.rsgi import HTTPProtocol

__all__ = ["DisconnectWatch", "StopWatch"]

_PATIENCE = 0.05
"""Seconds after which a stream asks whether its client is still there."""


class StopWatch:
    """Cancels the current task's wait when the server stops.

    A server that stops cannot wait for the end of a stream.
    """

    __slots__ = ("_task", "cancelled")

    def __init__(self) -> None:
        self.cancelled = False
        self._task: asyncio.Task[object] | None = asyncio.current_task()
        stopping.streams.add(self.end)

    def end(self) -> None:
        """Cancel the task, whose code asks `cancelled` whether that was meant for the stream alone."""
        if self._task is not None:
            # Granian's own tasks, under `--task-impl rust`, cannot be cancelled, and say so.
            self.cancelled = self._task.cancel()

    def stop(self) -> None:
        """Stop watching; take back the cancellation, if there was one."""
        stopping.streams.discard(self.end)
        task, self._task = self._task, None
        if task is not None and self.cancelled:
            task.uncancel()


class DisconnectWatch(StopWatch):
    """Cancels the current task's wait also when its client leaves.

    It begins a stream whose first chunk is late, too.

    The server is asked only once a stream has lasted for a while: asking costs more than a short stream does, and a
    stream that sends is told by its next chunk.

    Args:
        protocol: The server's protocol object.
        begin: Begins the response, unless it has begun.
        delay: Seconds after which it is called.

    Attributes:
        left: Whether the client left.
    """

    __slots__ = ("_begin", "_delay", "_gone", "_protocol", "_timer", "left")

    def __init__(self, protocol: HTTPProtocol, begin: Callable[[], object], delay: float) -> None:
        super().__init__()
        self._protocol = protocol
        self._begin = begin
        self._delay = delay
        self.left = False
        self._gone: asyncio.Future[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._ask)

    def _ask(self) -> None:
        self._gone = asyncio.ensure_future(self._protocol.client_disconnect())
        self._gone.add_done_callback(self._end_for_client)
        self._timer = asyncio.get_running_loop().call_later(max(0, self._delay - _PATIENCE), self._begin)

    def _end_for_client(self, gone: asyncio.Future[None]) -> None:
        if not gone.cancelled():
            self.left = True
            self.end()

    def stop(self) -> None:
        """Stop watching; take back the cancellation, if there was one."""
        self._timer.cancel()
        if self._gone is not None:
            self._gone.cancel()
        super().stop()
