"""Jobs in an SQLite file: they survive a crash and need no separate worker.

The processes of the application run them.

A row is a job that was accepted. Whoever does it claims the row, renews the claim for as long as the job runs, and
deletes the row when it has ended. So what a process that was killed had begun is begun again, here or elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from velithon._runtime.processes import is_alive
from velithon.jobs.message import JobMessage, JobsError, JobsFullError, JobsUnavailableError
from velithon.stores import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from velithon.jobs.backend import Execute
    from velithon.stores import Store

__all__ = ["SQLiteBackend"]

logger = logging.getLogger("velithon.jobs")

P = ParamSpec("P")
T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    message TEXT NOT NULL,
    priority INTEGER NOT NULL,
    not_before REAL NOT NULL,
    claimed_until REAL NOT NULL DEFAULT 0,
    owner TEXT
);
CREATE INDEX IF NOT EXISTS jobs_in_order ON jobs (priority DESC, number);
"""
_CLAIM = """
SELECT number, message FROM jobs WHERE not_before <= :now AND claimed_until <= :now
ORDER BY priority DESC, number LIMIT 1
"""
_BUSY_SECONDS = 10.0
_HERE = socket.gethostname()
# The owners of claims that live in this process.
_owners: set[str] = set()
# How often a process looks for jobs that another one has accepted or let go of.
_POLL_SECONDS = 0.5


class SQLiteBackend:
    """Keeps jobs in a file and runs them in each process that shares it.

    They run in the event loop of the process.

    What was accepted is done at least once, also when the process is killed: it is written to the disk before `enqueue`
    returns. The processes must be on one machine; a file on a network share is damaged.

    Args:
        path: The file; it is made, with its directory.
        concurrency: How many jobs run at once in each process.
        max_waiting: How many jobs the file holds at most; then `enqueue` raises `JobsFullError`.
        claim_seconds: How long a job of a process that was killed waits for another process. One that starts again on
            the same machine does not wait.

    Raises:
        ValueError: A number is out of range.
    """

    is_remote = False
    has_priorities = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        concurrency: int = 10,
        max_waiting: int = 100_000,
        claim_seconds: float = 30.0,
    ) -> None:
        if concurrency < 1 or max_waiting < 1:
            raise ValueError(f"concurrency and max_waiting are at least 1, not {concurrency}, {max_waiting}.")
        if claim_seconds <= 0:
            raise ValueError(f"claim_seconds is a number of seconds, more than 0, not {claim_seconds!r}.")
        self.path = Path(path)
        self.concurrency = concurrency
        self.max_waiting = max_waiting
        self.claim_seconds = claim_seconds
        self.store: Store | None = FileStore(self.path.with_name(f"{self.path.name}-states"))
        self._thread: ThreadPoolExecutor | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._running: dict[asyncio.Task[None], int] = {}

    async def start(self, execute: Execute, *, is_worker: bool) -> None:
        """Open the file, and begin with the jobs that are in it.

        Raises:
            JobsUnavailableError: It cannot be opened.
        """
        # One thread, so that the connection is used by nobody else and the loop does not wait for the disk.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="velithon-jobs")
        self._owner = f"{_HERE}:{os.getpid()}:{os.urandom(4).hex()}"
        _owners.add(self._owner)
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._execute = execute
        try:
            await self._run(self._open)
        except BaseException:
            self._thread.shutdown()
            self._thread = None
            raise
        create_task = asyncio.get_running_loop().create_task
        self._tasks = [create_task(self._fetch()), create_task(self._renew())]

    def _open(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        # FULL: a job that was accepted outlives a loss of power, too.
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_SCHEMA)

    async def send(self, message: JobMessage) -> None:
        """Write a job to the disk."""
        if self._thread is None:
            raise JobsError(f"The job {message.job} comes too late: the application has shut down.")
        await self._run(self._insert, message)
        self._wake.set()

    def _insert(self, message: JobMessage) -> None:
        # One that is tried again was accepted long ago.
        if message.attempt == 1:
            (waiting,) = self._database.execute("SELECT count(*) FROM jobs").fetchone()
            if waiting >= self.max_waiting:
                raise JobsFullError(f"{waiting} jobs wait already: {message.job} was not accepted.")
        self._database.execute(
            "INSERT INTO jobs (message, priority, not_before) VALUES (?, ?, ?)",
            (message.encode().decode(), message.priority, message.not_before),
        )

    # -- doing ----------------------------------------------------------------------------------------------------

    async def _fetch(self) -> None:
        """Begin what is due, until the task is cancelled."""
        while True:
            self._wake.clear()
            wait = _POLL_SECONDS
            try:
                while len(self._running) < self.concurrency and (claimed := await self._run(self._claim)) is not None:
                    self._start_job(*claimed)
                wait = await self._run(self._compute_wait)
            except JobsUnavailableError:
                logger.exception("No jobs can be fetched")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    def _claim(self) -> tuple[int, str] | None:
        now = time.time()
        database = self._database
        # Who only looks shall not hold up others; the look is repeated when the file is ours.
        if database.execute(_CLAIM, {"now": now}).fetchone() is None:
            return self._claim() if self._release_dead_owners() else None
        with _begin_transaction(database):
            found: tuple[int, str] | None = database.execute(_CLAIM, {"now": now}).fetchone()
            if found is not None:
                database.execute(
                    "UPDATE jobs SET claimed_until = ?, owner = ? WHERE number = ?",
                    (now + self.claim_seconds, self._owner, found[0]),
                )
        return found

    def _release_dead_owners(self) -> bool:
        """Let go of what processes of this machine had claimed that are no longer there; tell whether there were."""
        rows = self._database.execute("SELECT DISTINCT owner FROM jobs WHERE claimed_until > ?", (time.time(),))
        gone = [owner for (owner,) in rows.fetchall() if _is_gone(owner)]
        for owner in gone:
            logger.warning("The jobs of %s, which has gone, are begun again", owner)
            self._release(owner)
        return bool(gone)

    def _compute_wait(self) -> float:
        """Return how long to wait for what is due next, in seconds."""
        (moment,) = self._database.execute(
            "SELECT min(not_before) FROM jobs WHERE claimed_until <= ? AND not_before > ?", (time.time(), time.time())
        ).fetchone()
        return _POLL_SECONDS if moment is None else min(_POLL_SECONDS, max(0.0, moment - time.time()))

    def _start_job(self, number: int, data: str) -> None:
        task = asyncio.get_running_loop().create_task(self._execute_row(number, data))
        self._running[task] = number
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        number = self._running.pop(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its claim is not renewed, and ends.
            logger.error("The job in row %d of %s is begun again", number, self.path, exc_info=error)

    async def _execute_row(self, number: int, data: str) -> None:
        try:
            message = JobMessage.decode(data)
        except JobsError:
            logger.exception("Row %d of %s is no job; it is dropped", number, self.path)
        else:
            await self._execute(message)
        await self._run(self._database.execute, "DELETE FROM jobs WHERE number = ?", (number,))

    async def _renew(self) -> None:
        """Renew the claims of what runs, until the task is cancelled."""
        while True:
            await asyncio.sleep(self.claim_seconds / 3)
            until = time.time() + self.claim_seconds
            rows = [(until, number, self._owner) for number in self._running.values()]
            statement = "UPDATE jobs SET claimed_until = ? WHERE number = ? AND owner = ?"
            try:
                await self._run(self._database.executemany, statement, rows)
            except JobsUnavailableError:
                logger.exception("The claims of running jobs could not be renewed")

    # -- the end --------------------------------------------------------------------------------------------------

    async def stop(self, grace: float | None) -> None:
        """Wait for the jobs that run.

        What does not end in time is begun again by whoever starts next.
        """
        if self._thread is None:
            return
        fetch, renew = self._tasks
        await _cancel(fetch)
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace)
        for task in list(self._running):
            logger.warning("Job in row %d did not end within %s seconds: it is begun again", self._running[task], grace)
            await _cancel(task)
        await _cancel(renew)
        self._tasks = []
        await self._run(self._close)
        self._thread.shutdown()
        self._thread = None
        _owners.discard(self._owner)

    def _close(self) -> None:
        self._release(self._owner)
        self._database.close()

    def _release(self, owner: str) -> None:
        self._database.execute("UPDATE jobs SET claimed_until = 0, owner = NULL WHERE owner = ?", (owner,))

    async def work(self, execute: Execute, *, concurrency: int, stop: asyncio.Event) -> None:
        """Do jobs until `stop` is set, as each process of the application does."""
        self.concurrency = concurrency
        self._wake.set()
        await stop.wait()

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        assert self._thread is not None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))
        except sqlite3.Error as error:
            raise JobsUnavailableError(f"The file {self.path} cannot be used: {error}.") from error


@contextlib.contextmanager
def _begin_transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _is_gone(owner: str) -> bool:
    """Tell whether an owner is known to be gone: of another machine, or container, only the end of its claims tells."""
    host, pid, _ = owner.rsplit(":", 2)
    if host != _HERE:
        return False
    if int(pid) == os.getpid():
        # A container that starts again gives its process the same number.
        return owner not in _owners
    return not is_alive(int(pid))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,), timeout=1)
