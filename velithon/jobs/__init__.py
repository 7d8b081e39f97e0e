"""Jobs: functions that are asked for here and done elsewhere, later, again, at least once.

`@job` makes one of a function. An application has `app.jobs`, which does them in its own process unless
`Velithon(jobs=...)` names a broker; then `velithon worker` does them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon._runtime.lazy import lazy_attributes
from velithon.jobs.backend import Backend
from velithon.jobs.context import JobContext, current_job
from velithon.jobs.definition import Job, JobOptions, job
from velithon.jobs.jobs import Jobs
from velithon.jobs.memory import MemoryBackend
from velithon.jobs.message import JobFailedError, JobMessage, JobsError, JobsFullError, JobsUnavailableError
from velithon.jobs.observe import JobEvent, add_observer, remove_observer
from velithon.jobs.schedule import Schedule, cron, every
from velithon.jobs.state import JobHandle, JobRecord, JobState
from velithon.jobs.url import get_jobs, jobs_from_url

if TYPE_CHECKING:
    from velithon.jobs.celery import CeleryBackend
    from velithon.jobs.sqlite import SQLiteBackend
    from velithon.jobs.taskiq import TaskiqBackend

__all__ = [
    "Backend",
    "CeleryBackend",
    "Job",
    "JobContext",
    "JobEvent",
    "JobFailedError",
    "JobHandle",
    "JobMessage",
    "JobOptions",
    "JobRecord",
    "JobState",
    "Jobs",
    "JobsError",
    "JobsFullError",
    "JobsUnavailableError",
    "MemoryBackend",
    "SQLiteBackend",
    "Schedule",
    "TaskiqBackend",
    "add_observer",
    "cron",
    "current_job",
    "every",
    "get_jobs",
    "job",
    "jobs_from_url",
    "remove_observer",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_attributes(
        __name__,
        {
            "CeleryBackend": "velithon.jobs.celery",
            "SQLiteBackend": "velithon.jobs.sqlite",
            "TaskiqBackend": "velithon.jobs.taskiq",
        },
    )
