"""The jobs of an application: asking for them, and doing them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from velithon.jobs import observe
from velithon.jobs.context import JobContext, current
from velithon.jobs.limit import TimeLimit
from velithon.jobs.memory import MemoryBackend
from velithon.jobs.message import JobMessage, JobsError, JobsUnavailableError
from velithon.jobs.registry import all_jobs, find_job, is_first, note_ended, note_started
from velithon.jobs.scheduler import Scheduler
from velithon.jobs.state import JobHandle, JobRecord, Records
from velithon.middleware.request_id import get_request_id, request_id_of_records
from velithon.stores import MemoryStore, Store, StoreError, store_from_url

if TYPE_CHECKING:
    from types import TracebackType

    from velithon._runtime.json_values import JSONObject
    from velithon.jobs.backend import Backend
    from velithon.jobs.definition import Job

__all__ = ["Jobs"]

logger = logging.getLogger("velithon.jobs")

# A worker may not know a job yet, in the minutes in which a new version is rolled out.
_UNKNOWN_WAIT = 10.0
_UNKNOWN_LIMIT = 86_400.0
_LONGEST_PAUSE = 30.0


class Jobs:
    """What asks for the jobs of an application and does them.

    Args:
        backend: What carries the jobs, or its URL: see `jobs_from_url`. By default they are done in the process.
        store: Where states, results and unique keys are kept, or its URL; the application's store by default, unless
            that is the process's memory and the backend has something better.
        keep: How long the state of a job is kept after its last change, in seconds.
        schedules: Whether this process asks for the jobs that have a schedule. By default it does where jobs are done
            in the process, but for applications that are mounted in another; elsewhere `velithon scheduler` does.
    """

    def __init__(
        self,
        backend: Backend | str | None = None,
        *,
        store: Store | str | None = None,
        keep: float = 86_400.0,
        schedules: bool | None = None,
    ) -> None:
        self.is_default: bool = backend is None
        if isinstance(backend, str):
            from velithon.jobs.url import backend_from_url

            backend = backend_from_url(backend)
        self.backend: Backend = backend or MemoryBackend()
        self.app: Any = None
        self.is_worker = False
        self.keep = keep
        self.schedules = schedules
        self._own_store = store_from_url(store) if isinstance(store, str) else store
        self._is_started = 0
        self._scheduler: asyncio.Task[None] | None = None
        self._records: Records | None = None

    @property
    def store(self) -> Store:
        """Where states are kept."""
        if self._own_store is None:
            self._own_store = self.app.store if self.app is not None else MemoryStore()
            if isinstance(self._own_store, MemoryStore) and self.backend.store is not None:
                self._own_store = self.backend.store
        return self._own_store

    @property
    def records(self) -> Records:
        """The states of jobs."""
        if self._records is None:
            self._records = Records(self.store, self.keep)
        return self._records

    @property
    def is_seen(self) -> bool:
        """Whether who asks for a job and who does it see the same states."""
        return not (self.backend.is_remote and isinstance(self.store, MemoryStore))

    # -- asking ---------------------------------------------------------------------------------------------------

    async def enqueue(self, job: Job[..., object], *args: object, **kwargs: object) -> JobHandle:
        """Ask for a job; `job.enqueue` is the same for the application that runs here."""
        return await self._enqueue(job, os.urandom(16).hex(), job.call.bind(args, kwargs))

    async def enqueue_at(self, job: Job[..., object], moment: float) -> JobHandle | None:
        """Enqueue a scheduled job that is due at a Unix time.

        Of several schedulers that share a store, one does.
        """
        name = f"{job.name}@{moment:.3f}"
        if not await self.records.is_first(name, expire=self.keep):
            return None
        try:
            return await self._enqueue(job, os.urandom(16).hex(), {})
        except BaseException:
            await self.records.forget(name)
            raise

    async def _enqueue(self, job: Job[..., object], id: str, arguments: JSONObject) -> JobHandle:
        self._check(job)
        settings = job.settings
        now = time.time()
        message = JobMessage(
            id=id,
            job=job.name,
            arguments=arguments,
            priority=settings.priority,
            enqueued_at=now,
            not_before=now + settings.delay if settings.delay else 0.0,
            request_id=_get_request_id(),
            retries=settings.retries,
            backoff=None if callable(settings.backoff) else settings.backoff,
            timeout=settings.timeout,
            unique_key=job.unique_key(arguments),
        )
        observe.inject_trace(message.headers)
        try:
            if message.unique_key is not None:
                holder = await self.records.claim(message.unique_key, id, longer=settings.delay)
                if holder != id:
                    return self.get(holder)
            record = JobRecord(id, job.name, enqueued_at=now)
            await self.records.save(record, longer=settings.delay)
        except StoreError as error:
            raise JobsUnavailableError(f"The job {job.name} was not accepted: {error}") from error
        try:
            await self.backend.send(message)
        except JobsError:
            await self._forget(message)
            raise
        observe.notify(observe.JobEvent("enqueued", job.name, id, 1))
        return self.get(id)

    def _check(self, job: Job[..., object]) -> None:
        if not self._is_started:
            raise JobsError(f"The job {job.name} comes before the application has started: `async with app.jobs`.")
        if job.settings.priority != 5 and not self.backend.has_priorities:
            raise JobsError(f"The job {job.name} has a priority, and {type(self.backend).__name__} knows none.")
        if job.settings.unique is not False and not self.is_seen:
            raise JobsError(
                f"The job {job.name} is to be unique, and the workers do not see this process's store: give the "
                "application one that all share, such as Velithon(store='redis://...')."
            )

    async def _forget(self, message: JobMessage) -> None:
        """Let a job that was not accepted leave no trace."""
        try:
            await self.records.save(JobRecord(message.id, message.job, "failed", error="It was not accepted."))
            if message.unique_key is not None:
                await self.records.release(message.unique_key, message.id)
        except StoreError:
            logger.warning("The record of the job %s, which was not accepted, stays", message.id)

    def get(self, id: str) -> JobHandle:
        """Return the handle of a job by its id."""
        return JobHandle(id, self.records if self.is_seen else None, _load_result)

    # -- doing ----------------------------------------------------------------------------------------------------

    async def execute(self, message: JobMessage) -> None:
        """Run a job, and enqueue it again if it failed and has retries left."""
        job = find_job(message.job)
        if job is None:
            await self._handle_unknown(message)
            return
        record = await self._find_record(message)
        if record.is_finished:
            # Delivered twice: it ended, and what delivers it was not told.
            return
        record.state, record.attempt, record.started_at = "running", message.attempt, time.time()
        await self._save(record)
        waited = max(0.0, record.started_at - max(message.enqueued_at, message.not_before))
        observe.notify(observe.JobEvent("started", job.name, message.id, message.attempt, waited))
        begin = time.perf_counter()
        with request_id_of_records(message.request_id):
            try:
                value = await self._run(job, message, record)
            except Exception as error:  # noqa: BLE001 - whatever it is, the job failed with it
                seconds = time.perf_counter() - begin
                await self._handle_failure(job, message, record, error, seconds)
                return
        record.state, record.result, record.error, record.finished_at = "succeeded", value, None, time.time()
        seconds = time.perf_counter() - begin
        observe.notify(observe.JobEvent("succeeded", job.name, message.id, message.attempt, seconds))
        await self._finish(message, record)

    async def _run(self, job: Job[..., object], message: JobMessage, record: JobRecord) -> object:
        async def save(progress: object) -> None:
            record.progress = progress
            await self._save(record)

        context = JobContext(message.id, job.name, message.attempt, message.request_id, save)
        token = current.set(context)
        try:
            with observe.span(job.name, message.id, message.headers):
                async with TimeLimit(message.timeout):
                    return await job.call.run(self.app, message.arguments, context)
        finally:
            current.reset(token)

    async def _handle_failure(
        self, job: Job[..., object], message: JobMessage, record: JobRecord, error: Exception, seconds: float
    ) -> None:
        record.error = repr(error)
        last = message.retries + 1
        if message.attempt < last:
            wait = job.wait(message.attempt, message.backoff)
            logger.warning(
                "Job %s (%s) failed, attempt %d of %d, and is tried again in %.1f seconds: %r",
                job.name, message.id, message.attempt, last, wait, error,
            )  # fmt: skip
            observe.notify(observe.JobEvent("retried", job.name, message.id, message.attempt, seconds))
            record.state = "queued"
            await self._save(record)
            await self._send_again(message, wait, attempt=message.attempt + 1)
            return
        logger.error(
            "Job %s (%s) failed: %r", job.name, message.id, error, exc_info=error,
            extra={"job": job.name, "job_id": message.id, "attempt": message.attempt},
        )  # fmt: skip
        observe.notify(observe.JobEvent("failed", job.name, message.id, message.attempt, seconds))
        record.state, record.finished_at = "failed", time.time()
        await self._finish(message, record)

    async def _send_again(self, message: JobMessage, wait: float, *, attempt: int) -> None:
        """Ask for a job once more, as long as that takes: it is not acknowledged before."""
        again = replace(message, attempt=attempt, not_before=time.time() + wait if wait else 0.0)
        pause = 1.0
        while True:
            try:
                await self.backend.send(again)
            except JobsUnavailableError as error:
                logger.warning("Job %s (%s) cannot be asked for again yet: %s", message.job, message.id, error)
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                return

    async def _handle_unknown(self, message: JobMessage) -> None:
        if self.backend.is_remote and time.time() - message.enqueued_at < _UNKNOWN_LIMIT:
            logger.warning("There is no job %s here; it is sent on, for a worker that knows it", message.job)
            await self._send_again(message, _UNKNOWN_WAIT, attempt=message.attempt)
            return
        logger.error("Job %s (%s) failed: no worker knows it", message.job, message.id)
        record = await self._find_record(message)
        record.state, record.error, record.finished_at = "failed", "No worker knows it.", time.time()
        await self._finish(message, record)

    async def _find_record(self, message: JobMessage) -> JobRecord:
        try:
            found = await self.records.get(message.id)
        except StoreError as error:
            logger.warning("The record of the job %s cannot be read: %r", message.id, error)
            found = None
        return found or JobRecord(message.id, message.job, enqueued_at=message.enqueued_at)

    async def _save(self, record: JobRecord) -> None:
        # A job is not undone because nobody can be told of it.
        try:
            await self.records.save(record)
        except StoreError as error:
            logger.warning("The record of the job %s cannot be written: %r", record.id, error)

    async def _finish(self, message: JobMessage, record: JobRecord) -> None:
        await self._save(record)
        if message.unique_key is not None:
            try:
                await self.records.release(message.unique_key, message.id)
            except StoreError as error:
                logger.warning("The unique key of the job %s cannot be released: %r", message.id, error)

    # -- lifetime -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Prepare to enqueue jobs and, where this process runs them, to run them."""
        self._is_started += 1
        if self._is_started > 1:
            return
        try:
            await self.backend.start(self.execute, is_worker=self.is_worker)
        except BaseException:
            self._is_started = 0
            raise
        note_started(self)
        asks = not self.backend.is_remote and is_first(self) if self.schedules is None else self.schedules
        if asks and any(job.schedule is not None for job in all_jobs()):
            self._scheduler = asyncio.get_running_loop().create_task(self.schedule(asyncio.Event()))

    async def stop(self, grace: float | None = 10.0) -> None:
        """Ask for nothing any longer, and wait for the jobs of this process to end.

        Args:
            grace: How long to wait, in seconds; `None` waits as long as it takes.
        """
        self._is_started -= 1
        if self._is_started:
            return
        if self._scheduler is not None:
            # Again, where a client of the store or the broker took the cancellation for its own time limit.
            while not self._scheduler.done():
                self._scheduler.cancel()
                await asyncio.wait((self._scheduler,), timeout=0.5)
            self._scheduler = None
        self._is_started = 1  # jobs that end now may ask for others
        try:
            await self.backend.stop(grace)
        finally:
            self._is_started = 0
            note_ended(self)

    async def work(self, *, concurrency: int, stop: asyncio.Event) -> None:
        """Do jobs until `stop` is set: what `velithon worker` runs."""
        await self.backend.work(self.execute, concurrency=concurrency, stop=stop)

    async def schedule(self, stop: asyncio.Event) -> None:
        """Enqueue scheduled jobs whenever they are due, as `velithon scheduler` does."""
        await Scheduler(self).run(stop)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _get_request_id() -> str | None:
    context = current.get()
    return get_request_id() if context is None else context.request_id


def _load_result(name: str, result: object) -> object:
    """Return what a job returned, as its annotation says, of what JSON carried."""
    job = find_job(name)
    return result if job is None else job.call.load(result)
