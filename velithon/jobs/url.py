"""Backends by URL, and the jobs of an application as a dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from velithon.jobs.memory import MemoryBackend

if TYPE_CHECKING:
    from velithon.jobs.backend import Backend
    from velithon.jobs.jobs import Jobs

__all__ = ["backend_from_url", "get_jobs", "jobs_from_url"]

_KNOWN = (
    "memory://; sqlite:///path; redis://, rediss://, amqp://, amqps:// and nats:// (over taskiq); celery+ and the URL "
    "of any broker of Celery, such as celery+amqp://"
)


def backend_from_url(url: str, **options: Any) -> Backend:
    """Return the backend that a URL names.

    Args:
        url: `memory://`; `sqlite:///jobs.db`, or `sqlite:////var/lib/app/jobs.db` from the root; `redis://`, `rediss://`,
            `amqp://`, `amqps://` or `nats://` for taskiq; `celery+` and the URL of a broker for Celery.
        options: What the backend's class takes besides.

    Raises:
        ValueError: No backend has this URL.
        ImportError: A package is missing; says how to install it.
    """
    scheme, separator, rest = url.partition("://")
    engine, plus, transport = scheme.rpartition("+")
    if separator and scheme == "memory":
        return MemoryBackend(**options)
    if separator and scheme == "sqlite":
        from velithon.jobs.sqlite import SQLiteBackend

        if len(rest) < 2 or rest[0] != "/":
            raise ValueError(f"{url!r} names no file: sqlite:///jobs.db, or sqlite:////var/lib/app/jobs.db.")
        return SQLiteBackend(rest[1:], **options)
    if separator and engine == "celery":
        from velithon.jobs.celery import CeleryBackend

        return CeleryBackend(f"{transport}://{rest}", **options)
    if separator and engine in ("", "taskiq") and transport in ("redis", "rediss", "amqp", "amqps", "nats"):
        from velithon.jobs.taskiq import TaskiqBackend

        return TaskiqBackend(f"{transport}://{rest}", **options)
    raise ValueError(f"No backend of jobs begins with {scheme or url!r}; known are {_KNOWN}.")


def jobs_from_url(url: str, **options: Any) -> Jobs:
    """Return jobs over the backend that a URL names: see `backend_from_url`.

    Args:
        url: The backend.
        options: Those of `Jobs`: `store`, `keep`, `schedules`.
    """
    from velithon.jobs.jobs import Jobs

    return Jobs(backend_from_url(url), **options)


async def get_jobs(app: Starlette) -> Jobs:
    """Return the jobs of the application: `Annotated[Jobs, Depends(get_jobs)]`."""
    found: Jobs = app.jobs  # type: ignore[attr-defined] # it is a Velithon
    return found
