"""Jobs in the application's own process, the default backend.

It needs no service, and its jobs end with the process.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from typing import TYPE_CHECKING

from velithon.jobs.message import JobMessage, JobsError, JobsFullError

if TYPE_CHECKING:
    from velithon.jobs.backend import Execute
    from velithon.stores import Store

__all__ = ["MemoryBackend"]

logger = logging.getLogger("velithon.jobs")


class MemoryBackend:
    """Does jobs in the event loop of the application, and `def` jobs in its threads.

    A shutdown waits for them as for background tasks: `background_grace` seconds, then what has not ended is logged by
    name. A process that is killed takes its jobs with it; use a broker for those that must not be lost.

    Args:
        concurrency: How many jobs run at once.
        max_waiting: How many jobs wait at most, also those that are due later; then `enqueue` raises `JobsFullError`.

    Raises:
        ValueError: A number is less than 1.
    """

    is_remote = False
    store: Store | None = None
    has_priorities = True

    def __init__(self, *, concurrency: int = 10, max_waiting: int = 10_000) -> None:
        if concurrency < 1 or max_waiting < 1:
            raise ValueError(f"concurrency and max_waiting are at least 1, not {concurrency}, {max_waiting}.")
        self.concurrency = concurrency
        self.max_waiting = max_waiting
        self._execute: Execute | None = None
        self._due: list[tuple[int, int, JobMessage]] = []
        self._delayed: dict[JobMessage, asyncio.TimerHandle] = {}
        self._running: dict[asyncio.Task[None], JobMessage | None] = {}
        self._numbers = itertools.count()

    async def start(self, execute: Execute, *, is_worker: bool) -> None:
        """Get ready to do jobs."""
        self._execute = execute

    async def send(self, message: JobMessage) -> None:
        """Accept a job."""
        if self._execute is None:
            raise JobsError(f"The job {message.job} comes too late: the application has shut down.")
        # One that is tried again was accepted long ago.
        if message.attempt == 1 and len(self._due) + len(self._delayed) >= self.max_waiting:
            raise JobsFullError(f"{self.max_waiting} jobs wait already: {message.job} was not accepted.")
        delay = message.delay
        if delay > 0:
            self._delayed[message] = asyncio.get_running_loop().call_later(delay, self._push, message)
        else:
            self._push(message)

    def _push(self, message: JobMessage) -> None:
        self._delayed.pop(message, None)
        heapq.heappush(self._due, (-message.priority, next(self._numbers), message))
        if len(self._running) < self.concurrency:
            task = asyncio.get_running_loop().create_task(self._work())
            self._running[task] = None
            task.add_done_callback(self._running.pop)

    async def _work(self) -> None:
        task = asyncio.current_task()
        execute = self._execute
        assert task is not None
        assert execute is not None
        while self._due:
            message = heapq.heappop(self._due)[2]
            self._running[task] = message
            try:
                await execute(message)
            except Exception:
                logger.exception("Job %s was lost: it could be neither done nor asked for again", message.job)
            self._running[task] = None

    async def stop(self, grace: float | None) -> None:
        """Wait for the jobs to end; then cancel and name those that have not."""
        loop = asyncio.get_running_loop()
        end = None if grace is None else loop.time() + grace
        while self._running:
            left = None if end is None else end - loop.time()
            if left is not None and left <= 0:
                break
            await asyncio.wait(list(self._running), timeout=left)
        self._execute = None
        for message, timer in self._delayed.items():
            timer.cancel()
            seconds = message.not_before - time.time()
            logger.error("Job %s (%s) was abandoned: it was due in %.0f seconds", message.job, message.id, seconds)
        running = [message for message in self._running.values() if message is not None]
        for message in [*running, *(entry[2] for entry in self._due)]:
            logger.error("Job %s (%s) was abandoned: it did not end within %s seconds", message.job, message.id, grace)
        self._delayed.clear()
        self._due.clear()
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            # What is in a thread goes on; what awaits gets a moment to clean up.
            await asyncio.wait(tasks, timeout=0.1)

    async def work(self, execute: Execute, *, concurrency: int, stop: asyncio.Event) -> None:
        """Raise: there is nothing to do for a worker."""
        raise JobsError(
            "The jobs of this application are done in its own process and have no workers: give it a broker, such as "
            "Velithon(jobs='redis://localhost:6379')."
        )
