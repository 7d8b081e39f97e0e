"""What a job knows of itself while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

__all__ = ["JobContext", "current", "current_job"]


class JobContext:
    """The running job: what a parameter annotated with `JobContext` gets.

    Args:
        id: The job's id.
        job: The name of its function.
        attempt: 1 for the first.
        request_id: The request that asked for it.
        save: Keeps what `progress` was told.
    """

    def __init__(
        self,
        id: str,
        job: str,
        attempt: int,
        request_id: str | None,
        save: Callable[[object], Awaitable[None]],
    ) -> None:
        self.id = id
        self.job = job
        self.attempt = attempt
        self.request_id = request_id
        self._save = save

    async def progress(self, value: object) -> None:
        """Tell how far the job is: anything that JSON can carry, for `handle.progress()`."""
        await self._save(value)


current: ContextVar[JobContext | None] = ContextVar("velithon.job", default=None)


def current_job() -> JobContext | None:
    """Return the job that runs here, or `None` outside of one."""
    return current.get()
