"""The contract of backends, which carry jobs from applications to workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from velithon.jobs.message import JobMessage
    from velithon.stores import Store

__all__ = ["Backend", "Execute"]

Execute = Callable[["JobMessage"], Awaitable[None]]
"""Does a job: it returns when the job succeeded, failed for good or was asked for again, and may be acknowledged. Where
it is cancelled or raises, the job must be delivered once more."""


class Backend(Protocol):
    """Carries jobs.

    Attributes:
        is_remote: Whether jobs are done by other processes, which `velithon worker` starts.
        has_priorities: Whether the priority of a job means something.
        store: Where states are kept where the application has no store but memory; `None` keeps them there.
    """

    is_remote: bool
    has_priorities: bool
    store: Store | None

    async def start(self, execute: Execute, *, is_worker: bool) -> None:
        """Prepare to send jobs and, where `is_worker`, to run them."""
        ...

    async def send(self, message: JobMessage) -> None:
        """Accept a job: it is done at least once from here on.

        Raises:
            JobsUnavailableError: It is not known whether it was accepted.
            JobsFullError: It was not.
        """
        ...

    async def stop(self, grace: float | None) -> None:
        """Let go of connections.

        Jobs that are done in this process have `grace` seconds to end.
        """
        ...

    async def work(self, execute: Execute, *, concurrency: int, stop: asyncio.Event) -> None:
        """Do jobs, `concurrency` at once, until `stop` is set.

        Then end those that run and return.

        Raises:
            JobsError: The jobs of this backend are done elsewhere.
        """
        ...
