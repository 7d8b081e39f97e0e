"""The jobs of this process by name, and which application does them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from velithon.jobs.message import JobsError

if TYPE_CHECKING:
    from velithon.jobs.definition import Job
    from velithon.jobs.state import JobHandle

    class RunningJobs(Protocol):
        """What is needed of the `Jobs` of an application."""

        @property
        def is_default(self) -> bool: ...

        async def enqueue(self, job: Job[..., object], *args: object, **kwargs: object) -> JobHandle: ...


__all__ = ["all_jobs", "find_job", "get_running", "is_first", "note_ended", "note_started", "register"]

_jobs: dict[str, Job[..., object]] = {}
# The `Jobs` that have started in each loop, in their order.
_started: WeakKeyDictionary[asyncio.AbstractEventLoop, list[RunningJobs]] = WeakKeyDictionary()


def register(job: Job[..., object]) -> None:
    """Make a job known by its name.

    Raises:
        ValueError: Another function has it.
    """
    known = _jobs.get(job.name)
    if known is not None and _locate_job(known) != _locate_job(job):
        raise ValueError(
            f"Two jobs are named {job.name!r}, {_locate_job(known)} and {_locate_job(job)}: give one @job(name=...)."
        )
    _jobs[job.name] = job


def _locate_job(job: Job[..., object]) -> str:
    code = getattr(job.function, "__code__", None)
    return repr(job.function) if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def find_job(name: str) -> Job[..., object] | None:
    """Return the job of a name."""
    return _jobs.get(name)


def all_jobs() -> list[Job[..., object]]:
    """Return all jobs, by name."""
    return [_jobs[name] for name in sorted(_jobs)]


def note_started(jobs: RunningJobs) -> None:
    """Note that the jobs of an application have started in the running loop."""
    _started.setdefault(asyncio.get_running_loop(), []).append(jobs)


def note_ended(jobs: RunningJobs) -> None:
    """Note that they have ended."""
    found = _started.get(asyncio.get_running_loop(), [])
    if jobs in found:
        found.remove(jobs)


def is_first(jobs: RunningJobs) -> bool:
    """Tell whether these jobs belong to the outermost application.

    What is mounted in an application starts after it.
    """
    return _started[asyncio.get_running_loop()][0] is jobs


def get_running() -> RunningJobs:
    """Return the `Jobs` of the application that runs in this loop.

    Where several applications run in one loop, one of them may have been given a backend: it is that one's.

    Raises:
        JobsError: No application with jobs has started, or several were given a backend.
    """
    found = _started.get(asyncio.get_running_loop(), [])
    chosen = [jobs for jobs in found if not jobs.is_default]
    if len(chosen) > 1:
        raise JobsError("Several applications with jobs run here: use app.jobs.enqueue(job, ...).")
    if not found:
        raise JobsError(
            "No application with jobs has started in this event loop. In a test write `with TestClient(app)`; in a "
            "script `async with app.jobs`."
        )
    return chosen[0] if chosen else found[0]
