"""Asks for jobs when their schedules say so.

Several schedulers may run: who shares a store asks for each time once. What was due while none ran is left out, but for
the time in which a scheduler was busy or could not reach the broker: that is made up for.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from velithon.jobs.message import JobsError
from velithon.jobs.registry import all_jobs
from velithon.stores import StoreError

if TYPE_CHECKING:
    from velithon.jobs.definition import Job

__all__ = ["Scheduler"]

logger = logging.getLogger("velithon.jobs")

_RETRY_SECONDS = 1.0


class Asks(Protocol):
    """What a scheduler needs of `Jobs`."""

    async def enqueue_at(self, job: Job[..., object], moment: float) -> object:
        """Ask for a job that is due at a Unix time, once."""


class Scheduler:
    """Asks for the jobs that have a schedule.

    Args:
        jobs: Whom to ask.
    """

    def __init__(self, jobs: Asks) -> None:
        self._jobs = jobs

    async def run(self, stop: asyncio.Event) -> None:
        """Ask for jobs until `stop` is set."""
        now = datetime.now(UTC)
        scheduled = [job for job in all_jobs() if job.schedule is not None]
        due: list[tuple[datetime, str, Job[..., object]]] = []
        for job in scheduled:
            assert job.schedule is not None
            heapq.heappush(due, (job.schedule.after(now), job.name, job))
            logger.info("Job %s is due %r, the next time at %s", job.name, job.schedule, due[0][0].isoformat())
        while due and not stop.is_set():
            moment, _, job = due[0]
            seconds = (moment - datetime.now(UTC)).total_seconds()
            if seconds > 0:
                await _wait(stop, min(seconds, 60.0))
                continue
            try:
                await self._jobs.enqueue_at(job, moment.timestamp())
            except (JobsError, StoreError) as error:
                logger.warning("Job %s is due and cannot be asked for yet: %r", job.name, error)
                await _wait(stop, _RETRY_SECONDS)
                continue
            assert job.schedule is not None
            heapq.heapreplace(due, (job.schedule.after(moment), job.name, job))
            # What is made up for, many times one after the other, leaves room for others.
            await asyncio.sleep(0)
        await stop.wait()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
