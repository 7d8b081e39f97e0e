"""Jobs in a file: what was accepted is done, in whichever process of the application, however one ended."""

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.effort import FULL, variants
from tests.servers import ServerName, serve
from tests.waiting import until
from velithon import Velithon
from velithon.jobs import (
    Jobs,
    JobsError,
    JobsFullError,
    JobsUnavailableError,
    SQLiteBackend,
    every,
    job,
    jobs_from_url,
    registry,
)

done: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


@job(name="sqlite.note")
async def note(value: int, seconds: float = 0.0) -> int:
    """Note that it was done."""
    await asyncio.sleep(seconds)
    done.append(value)
    return value


@job(name="sqlite.fails", retries=2, backoff=0.01)
async def fails() -> None:
    """Succeed at the third attempt."""
    done.append("attempt")
    if len(done) < 3:
        raise LookupError("not yet")


def make_app(path: Path, **options: float) -> Velithon:
    """Return an application whose jobs are in a file."""
    return Velithon(jobs=Jobs(SQLiteBackend(path, **options), schedules=False))  # type: ignore[arg-type] # numbers


def rows(path: Path) -> int:
    """Tell how many jobs the file holds."""
    with closing(sqlite3.connect(path)) as database, database:
        return int(database.execute("SELECT count(*) FROM jobs").fetchone()[0])


@pytest.mark.asyncio
async def test_a_job_is_done_and_leaves_the_file(tmp_path: Path) -> None:
    app = Velithon(jobs=f"sqlite:///{tmp_path}/below/jobs.db")
    async with app.jobs:
        assert await (await note.enqueue(3)).result(20) == 3
        await (await fails.enqueue()).result(20)
        async with asyncio.timeout(20):
            while rows(tmp_path / "below" / "jobs.db"):
                await asyncio.sleep(0.01)
    assert done == [3, "attempt", "attempt"]


@pytest.mark.asyncio
async def test_what_a_shutdown_did_not_do_is_done_by_the_next_start(tmp_path: Path) -> None:
    """What waits, what is due later, and what did not end in time; states are seen by the next process too."""
    path = tmp_path / "jobs.db"
    app = make_app(path, concurrency=1)
    await app.jobs.start()
    slow = await note.enqueue(1, 60.0)
    waits = await note.enqueue(2)
    later = await note.options(delay=0.3).enqueue(3)
    async with asyncio.timeout(20):
        while await slow.state() != "running":
            await asyncio.sleep(0.01)
    await app.jobs.stop(0.05)
    assert done == []
    assert rows(path) == 3
    again = make_app(path, concurrency=2)
    await again.jobs.start()
    assert await again.jobs.get(waits.id).result(20) == 2
    assert await again.jobs.get(later.id).result(20) == 3
    assert await again.jobs.get(slow.id).state() == "running"
    await again.jobs.stop(0.0)


@pytest.mark.asyncio
async def test_two_processes_do_a_job_once(tmp_path: Path) -> None:
    """Their claims keep the jobs apart, however long one takes."""
    first, second = (make_app(tmp_path / "jobs.db", concurrency=2, claim_seconds=0.3) for _ in range(2))
    async with first.jobs, second.jobs:
        handles = [await first.jobs.enqueue(note, number, 0.5 if number == 0 else 0.0) for number in range(20)]
        for handle in handles:
            await handle.result(10)
    assert sorted(done) == list(range(20))


@pytest.mark.asyncio
async def test_the_highest_priority_comes_first(tmp_path: Path) -> None:
    app = make_app(tmp_path / "jobs.db", concurrency=1)
    async with app.jobs:
        handles = [await note.enqueue(0, 0.2)]
        handles += [await note.options(priority=priority).enqueue(priority) for priority in (2, 9, 5)]
        for handle in handles:
            await handle.result(20)
    assert done == [0, 9, 5, 2]


@pytest.mark.asyncio
async def test_schedules_of_two_processes_ask_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_jobs", {})  # other applications of this process shall not do it

    @job(name="sqlite.ticks", schedule=every(seconds=0.4))
    async def ticks() -> None:
        done.append("tick")

    first, second = (Velithon(jobs=Jobs(f"sqlite:///{tmp_path}/jobs.db", schedules=True)) for _ in range(2))
    async with first.jobs, second.jobs:
        async with asyncio.timeout(20):
            while done.count("tick") < 2:
                await asyncio.sleep(0.01)
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as database, database:
        asked = database.execute("SELECT seq FROM sqlite_sequence").fetchone()[0]
    assert asked <= 3


@pytest.mark.asyncio
async def test_limits_and_mistakes_are_told(tmp_path: Path) -> None:
    app = make_app(tmp_path / "jobs.db", concurrency=1, max_waiting=1)
    async with app.jobs:
        await note.options(delay=60).enqueue(1)
        with pytest.raises(JobsFullError, match="1 jobs wait already"):
            await note.enqueue(2)
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(JobsUnavailableError, match=r"broken\.db"):
        await make_app(tmp_path / "broken.db").jobs.start()
    for url in ("sqlite://jobs.db", "sqlite:///"):
        with pytest.raises(ValueError, match="names no file"):
            jobs_from_url(url)
    for options in ({"concurrency": 0}, {"max_waiting": 0}, {"claim_seconds": 0}):
        with pytest.raises(ValueError, match="not"):
            SQLiteBackend(tmp_path / "jobs.db", **options)


@pytest.mark.asyncio
async def test_a_row_that_is_no_job_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "jobs.db"
    app = make_app(path)
    async with app.jobs:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("INSERT INTO jobs (message, priority, not_before) VALUES ('{}', 5, 0)")
        async with asyncio.timeout(20):
            while rows(path):
                await asyncio.sleep(0.01)
    assert "is no job" in caplog.text


APP = """
import asyncio, os
from velithon import Velithon
from velithon.jobs import job

app = Velithon(jobs="sqlite:///" + os.environ["JOBS"])

@job
async def counted(number: int) -> None:
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"begun {os.getpid()}\\n")
    await asyncio.sleep(0.05)
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"done {number}\\n")

@app.post("/jobs/{number}")
async def ask(number: int) -> str:
    return (await counted.enqueue(number)).id
"""
JOBS = 1000 if FULL else 100


@pytest.mark.server
@pytest.mark.parametrize("name", variants(["granian-rsgi"], ["granian-rsgi", "granian-asgi", "uvicorn"]))
def test_no_job_is_lost_with_a_process_that_is_killed(name: ServerName, tmp_path: Path) -> None:
    """The worker is killed with -9 in the middle; its successor does what it had begun, at once, and the rest."""
    notes = tmp_path / "notes"
    env = {"JOBS": str(tmp_path / "jobs.db"), "NOTES": str(notes)}
    with serve(APP, name, "--workers", "2", env=env) as server:
        for number in range(JOBS):
            assert httpx.post(f"{server.url}/jobs/{number}", timeout=20).status_code == 200
        until(lambda: notes.read_text().count("done") >= JOBS // 4)
        os.kill(int(notes.read_text().split()[1]), signal.SIGKILL)
        expected = {f"done {number}" for number in range(JOBS)}
        until(lambda: expected <= set(notes.read_text().splitlines()), seconds=60)
        until(lambda: rows(tmp_path / "jobs.db") == 0)


@pytest.mark.asyncio
async def test_a_job_after_the_end_is_refused(tmp_path: Path) -> None:
    app = make_app(tmp_path / "jobs.db")
    async with app.jobs:
        pass
    with pytest.raises(JobsError, match="before the application has started"):
        await app.jobs.enqueue(note, 1)
