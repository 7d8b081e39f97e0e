"""Keeps what an application owns open around its lifespan and its background tasks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from velithon._runtime.attached import Attached
from velithon.concurrency import current_thread_pool, use_thread_pool
from velithon_adapters.stopping import stopping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from velithon.background import InFlight
    from velithon.concurrency import ThreadPool
    from velithon.di import ServiceContainer
    from velithon.jobs import Jobs

    class Closable(Protocol):
        """Something that is closed."""

        async def aclose(self) -> None: ...


__all__ = ["Lifetime"]


class Lifetime(Attached):
    """The part of an application that starts what it owns and closes it, in order.

    Attributes:
        background_grace: How long a shutdown waits for background tasks, in seconds; `None` without end.
        containers: Started with the application and closed with it.
    """

    background_grace: float | None
    containers: list[ServiceContainer]
    _app_values: Closable
    _in_flight: InFlight
    _looked_over = False
    _started_jobs: Jobs | None = None
    _thread_pool: ThreadPool | None

    def _warn_of_mistakes(self) -> None:
        """Warn of what is probably a mistake."""

    def register_container(self, container: ServiceContainer) -> None:
        """Start this container with the application and close it with it.

        Raises:
            ProviderError: A provider of it cannot be resolved; names the path to it.
        """
        if container not in self.containers:
            self.containers.append(container)

    @asynccontextmanager
    async def _hold_resources(self) -> AsyncIterator[None]:
        """Hold what the application owns, around its lifespan: closed after the shutdown functions ran."""
        if not self._looked_over:
            self._looked_over = True
            self._warn_of_mistakes()
        async with AsyncExitStack() as stack:
            for container in self.containers:
                # A start that fails cleans up after itself.
                await container.startup()
                stack.push_async_callback(container.close)
            if self._thread_pool is not None:
                use_thread_pool(self._thread_pool)
            # Idle threads end at once; a busy one may take longer than the server has.
            stack.push_async_callback(current_thread_pool().aclose, 0.2)
            stack.push_async_callback(self._app_values.aclose)
            stack.push_async_callback(self._close_stores)
            stack.push_async_callback(self._close_channels)
            self._started_jobs = await self._start_jobs()
            if self._events is not None:
                await self._events.start()
                stack.push_async_callback(self._events.stop)
            try:
                yield
            finally:  # of a start that failed, and of what shutdown functions began
                await self._finish_work()

    async def _finish_work(self) -> None:
        """Wait for background tasks, then for the jobs of this process, `background_grace` seconds for both."""
        grace, begin = self._get_grace(), asyncio.get_running_loop().time()
        await self._in_flight.drain(grace)
        jobs, self._started_jobs = self._started_jobs, None
        if jobs is not None:
            spent = asyncio.get_running_loop().time() - begin
            await jobs.stop(None if grace is None else max(0.0, grace - spent))

    def _get_grace(self) -> float | None:
        """Return how long background work may take; never longer than half of what a server that stops has left."""
        grace, left = self.background_grace, stopping.time_left()
        if left is None:
            return grace
        return left / 2 if grace is None else min(grace, left / 2)
