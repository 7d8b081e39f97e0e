"""What all backends do: one suite over taskiq and Celery on real brokers, with real workers."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.jobs import application
from tests.jobs.workers import BACKENDS, Worker, broker_url, worker
from tests.services.redis import RedisServer
from velithon import Velithon
from velithon.jobs import JobFailedError, JobMessage, JobsError
from velithon.middleware.request_id import request_id_of_records

pytestmark = [pytest.mark.asyncio, pytest.mark.server]


class Place:
    """A backend with a worker.

    Args:
        url: The backend's.
        store_url: Where states are kept.
        worker: The worker.
    """

    def __init__(self, url: str, store_url: str, worker: Worker) -> None:
        self.url = url
        self.store_url = store_url
        self.worker = worker


@pytest.fixture(scope="module", params=BACKENDS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_redis: RedisServer
) -> Iterator[Place]:
    """A backend and one worker for all tests of the module."""
    url = broker_url(request.param, request)
    shared_redis.command("FLUSHALL")
    store_url = shared_redis.url.removesuffix("0") + "1"
    with worker(tmp_path_factory.mktemp("worker"), url, store_url) as running:
        yield Place(url, store_url, running)


@pytest_asyncio.fixture
async def app(place: Place) -> AsyncIterator[Velithon]:
    """The application, as the process knows it that asks for jobs."""
    app = Velithon(jobs=application.make_jobs(place.url), store=place.store_url)
    app.jobs.schedules = False
    async with asyncio.timeout(30):
        async with app.jobs:
            yield app
        await app.store.aclose()


async def test_a_job_is_done_by_a_worker_in_its_application(app: Velithon) -> None:
    """With its lifespan, its dependencies and their exits."""
    handle = await application.add.enqueue(2, b=3)
    assert await handle.result(20) == [5, True, True, "open"]
    assert await app.store.get("closed") is not None
    assert await handle.state() == "succeeded"
    assert await app.jobs.get(handle.id).result(0) == [5, True, True, "open"]


async def test_a_def_function_is_done_in_a_thread(app: Velithon) -> None:
    assert await (await application.in_a_thread.enqueue("ab")).result(20) == "abab"


async def test_a_failed_job_is_tried_again(app: Velithon) -> None:
    assert await (await application.fails.enqueue(2)).result(20) == 3


async def test_a_job_that_fails_for_good_is_one_record_with_its_request(app: Velithon, place: Place) -> None:
    with request_id_of_records("request-18"):
        lost = await application.fails.enqueue(9)
    with pytest.raises(JobFailedError, match="attempt 4"):
        await lost.result(20)
    lines = [line for line in place.worker.log.splitlines() if "ERROR" in line and lost.id in line]
    assert len(lines) == 1
    assert "request-18" in lines[0]


async def test_the_options_of_one_call_travel_with_the_job(app: Velithon) -> None:
    with pytest.raises(JobFailedError, match="attempt 1"):
        await (await application.fails.options(retries=0).enqueue(1)).result(20)
    with pytest.raises(JobFailedError, match="0.2 seconds"):
        await (await application.waits.options(timeout=0.2).enqueue("nobody")).result(20)


async def test_a_job_that_takes_too_long_fails(app: Velithon) -> None:
    with pytest.raises(JobFailedError, match="0.1 seconds"):
        await (await application.hangs.enqueue()).result(20)


async def test_a_delayed_job_waits(app: Velithon) -> None:
    handle = await application.in_a_thread.options(delay=0.5).enqueue("x")
    assert await handle.state() == "queued"
    await handle.result(20)
    record = await handle.record()
    assert record.started_at is not None
    assert record.started_at - record.enqueued_at >= 0.5


async def test_delays_do_not_wait_for_each_other(app: Velithon) -> None:
    """A short one that comes after a long one ends before it."""
    long = await application.in_a_thread.options(delay=8).enqueue("long")
    short = await application.in_a_thread.options(delay=0.3).enqueue("short")
    assert await short.result(20) == "shortshort"
    assert await long.state() == "queued"


async def test_progress_and_state_are_seen(app: Velithon) -> None:
    name = f"progress-{time.monotonic_ns()}"
    handle = await application.waits.enqueue(name)
    async with asyncio.timeout(20):
        while await handle.progress() != "waiting":
            await asyncio.sleep(0.01)
    assert await handle.state() == "running"
    await app.store.set(f"go:{name}", b"1")
    assert await handle.result(20) == name


async def test_there_is_one_unique_job_at_a_time(app: Velithon) -> None:
    """Whoever asks for another, in any process, gets the one that waits or runs."""
    name = f"unique-{time.monotonic_ns()}"
    only = application.waits.options(unique=True)
    first, second = await only.enqueue(name), await only.enqueue(name)
    assert first.id == second.id
    await app.store.set(f"go:{name}", b"1")
    await first.result(20)
    assert (await only.enqueue(name)).id != first.id


async def test_a_job_knows_the_request_that_asked_for_it(app: Velithon, place: Place) -> None:
    with request_id_of_records("request-7"):
        handle = await application.whose.enqueue()
    assert await handle.result(20) == "request-7"
    (line,) = [line for line in place.worker.log.splitlines() if "hello from a job" in line and "request-7" in line]
    assert "mine [request-7]" in line


async def test_a_job_can_ask_for_others(app: Velithon) -> None:
    assert await (await application.asks_for_more.enqueue(3)).result(20) == 3


async def test_several_jobs_run_at_once(app: Velithon) -> None:
    names = [f"together-{time.monotonic_ns()}-{number}" for number in range(5)]
    handles = [await application.waits.enqueue(name) for name in names]
    async with asyncio.timeout(20):
        while any([await handle.state() != "running" for handle in handles]):
            await asyncio.sleep(0.01)
    for name in reversed(names):
        await app.store.set(f"go:{name}", b"1")
    assert [await handle.result(20) for handle in handles] == names


async def test_without_a_shared_store_there_are_no_results(place: Place) -> None:
    """It is told, and unique jobs are refused."""
    app = Velithon(jobs=application.make_jobs(place.url))
    app.jobs.schedules = False
    async with app.jobs:
        handle = await application.in_a_thread.enqueue("x")
        with pytest.raises(JobsError, match="store that they share"):
            await handle.result(1)
        with pytest.raises(JobsError, match="unique"):
            await application.in_a_thread.options(unique=True).enqueue("x")


async def test_an_unknown_job_is_kept_for_a_worker_that_knows_it(app: Velithon, place: Place) -> None:
    """A new version may ask for it before its workers have come."""
    await app.jobs.backend.send(JobMessage("unknown-1", "not.yet", {}))
    async with asyncio.timeout(20):
        while "no job not.yet here" not in place.worker.log:
            await asyncio.sleep(0.02)
