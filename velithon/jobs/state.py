"""A job's state in the store, and the handle by which callers read it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from velithon.jobs.message import JobFailedError, JobsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from velithon.stores import Store

__all__ = ["JobHandle", "JobRecord", "JobState", "Records"]

JobState = Literal["queued", "running", "succeeded", "failed"]

_POLL_SECONDS = 0.02
_LONGEST_POLL = 0.5


@dataclass(slots=True)
class JobRecord:
    """What is known of a job.

    Attributes:
        id: Its id.
        job: The name of its function.
        state: `"queued"` also while it waits for another attempt.
        attempt: Which attempt runs, or was the last.
        enqueued_at: When it was asked for, as Unix time.
        started_at: When the last attempt began.
        finished_at: When it ended for good.
        result: What it returned, as JSON carries it.
        error: What it failed with the last time.
        progress: What it told last.
    """

    id: str
    job: str
    state: JobState = "queued"
    attempt: int = 0
    enqueued_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    result: object = None
    error: str | None = None
    progress: object = None

    @property
    def is_finished(self) -> bool:
        """Whether it will not run again."""
        return self.state in ("succeeded", "failed")


class Records:
    """The records of jobs, in a store.

    Args:
        store: Where.
        keep: How long a record is kept after its last change, in seconds.
    """

    def __init__(self, store: Store, keep: float) -> None:
        self._store = store.namespace("jobs")
        self.keep = keep

    async def get(self, id: str) -> JobRecord | None:
        """Return the record of a job."""
        found = await self._store.get(f"job:{id}")
        return None if found is None else JobRecord(**orjson.loads(found))

    async def save(self, record: JobRecord, *, longer: float = 0.0) -> None:
        """Keep a record, `longer` than usual when the job is to begin later."""
        await self._store.set(f"job:{record.id}", orjson.dumps(asdict(record)), expire=self.keep + longer)

    async def claim(self, key: str, id: str, *, longer: float = 0.0) -> str:
        """Let a job have a key that only one has at a time.

        Return the id of the one that has it now.
        """
        async with self._store.lock(f"unique:{key}"):
            found = await self._store.get(f"unique:{key}")
            if found is not None:
                record = await self.get(found.decode())
                if record is not None and not record.is_finished:
                    return found.decode()
            await self._store.set(f"unique:{key}", id.encode(), expire=self.keep + longer)
            return id

    async def release(self, key: str, id: str) -> None:
        """Let another job have a key."""
        async with self._store.lock(f"unique:{key}"):
            if await self._store.get(f"unique:{key}") == id.encode():
                await self._store.delete(f"unique:{key}")

    async def is_first(self, name: str, expire: float) -> bool:
        """Tell whether nobody asked this before, of all who share the store."""
        return await self._store.increment(f"tick:{name}", expire=expire) == 1

    async def forget(self, name: str) -> None:
        """Let `is_first` be asked again."""
        await self._store.delete(f"tick:{name}")


class JobHandle:
    """A job that was asked for.

    Attributes:
        id: Its id, by which `app.jobs.get(id)` finds it from any process.
    """

    def __init__(self, id: str, records: Records | None, load: Callable[[str, object], object]) -> None:
        self.id = id
        self._records = records
        self._load = load

    async def record(self) -> JobRecord:
        """Return what is known of the job.

        Raises:
            JobsError: Nothing is: it never was, its time is over, or the worker keeps no state that is seen from here.
        """
        if self._records is None:
            raise JobsError(
                "The state of jobs is in the memory of the workers: give the application, and so its workers, a "
                "store that they share, such as Velithon(store='redis://...')."
            )
        found = await self._records.get(self.id)
        if found is None:
            raise JobsError(f"Nothing is known of the job {self.id!r}: there was none, or its time is over.")
        return found

    async def state(self) -> JobState:
        """Return `"queued"`, `"running"`, `"succeeded"` or `"failed"`."""
        return (await self.record()).state

    async def progress(self) -> Any:
        """Return what the job told last of how far it is."""
        return (await self.record()).progress

    async def result(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - the field's name for it
        """Wait until the job has ended; return what it returned, as its annotation says.

        Args:
            timeout: How long to wait, in seconds.

        Raises:
            JobFailedError: It failed for good.
            TimeoutError: It has not ended in time.
        """
        end = None if timeout is None else time.monotonic() + timeout
        wait = _POLL_SECONDS
        while True:
            record = await self.record()
            if record.state == "failed":
                raise JobFailedError(f"The job {record.job} ({self.id}) failed: {record.error}")
            if record.state == "succeeded":
                return self._load(record.job, record.result)
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"The job {record.job} ({self.id}) has not ended within {timeout} s.")
            await asyncio.sleep(wait if end is None else min(wait, max(0.0, end - time.monotonic())))
            wait = min(_LONGEST_POLL, wait * 1.5)

    def __repr__(self) -> str:
        return f"<job {self.id}>"
