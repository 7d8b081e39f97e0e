"""Makes an application's store, channels, jobs and events when they are first used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from velithon.channels import Channels
    from velithon.events import Events
    from velithon.jobs import Jobs
    from velithon.stores import Store

__all__ = ["Attached"]


class Attached:
    """The part of an application that holds them and closes them with it."""

    _channels: Channels | str | None = None
    _events: Events | None = None
    _jobs: Jobs | str | None = None
    _store: Store | str | None
    _stores: list[Store]

    @property
    def channels(self) -> Channels:
        """Publish and subscribe by name: see `velithon.channels`.

        In this process unless it was set to others.
        """
        if self._channels is None or isinstance(self._channels, str):
            from velithon.channels import channels_from_url

            self._channels = channels_from_url(self._channels or "memory://")
        return self._channels

    @channels.setter
    def channels(self, channels: Channels | str) -> None:
        self._channels = channels

    @property
    def jobs(self) -> Jobs:
        """Work that is done elsewhere, later, again: see `velithon.jobs`.

        In this process unless it was set.
        """
        if self._jobs is None or isinstance(self._jobs, str):
            from velithon.jobs import Jobs

            self.jobs = Jobs(self._jobs)
        found: Jobs = self._jobs  # type: ignore[assignment] # the setter has set it
        return found

    @jobs.setter
    def jobs(self, jobs: Jobs | str) -> None:
        self._jobs = jobs
        if not isinstance(jobs, str):
            jobs.app = self

    @property
    def events(self) -> Events:
        """What happens in the application, and who hears of it: see `velithon.events`."""
        if self._events is None:
            from velithon.events import Events

            self._events = Events(self)
        return self._events

    async def _start_jobs(self) -> Jobs | None:
        """Start them, where somebody set them or has imported what makes a function a job."""
        if self._jobs is None and "velithon.jobs" not in sys.modules:
            return None
        await self.jobs.start()
        return self.jobs

    async def _close_channels(self) -> None:
        if self._channels is not None and not isinstance(self._channels, str):
            await self._channels.aclose()

    @property
    def store(self) -> Store:
        """Where rate limits, cached responses, sessions and whoever asks for it keep values: see `velithon.stores`."""
        if self._store is None or isinstance(self._store, str):
            from velithon.stores import store_from_url

            self._store = store_from_url(self._store or "memory://")
        return self._store

    @store.setter
    def store(self, store: Store | str) -> None:
        self._store = store

    def register_store(self, store: Store) -> None:
        """Close a store with the application, as its own is.

        A closed store may be used again.
        """
        if not any(store is known for known in self._stores):
            self._stores.append(store)

    async def _close_stores(self) -> None:
        own = [] if self._store is None or isinstance(self._store, str) else [self._store]
        for store in [*own, *self._stores]:
            await store.aclose()
