"""A job that was accepted is done, whatever is killed: workers with -9, and brokers."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.effort import FULL
from tests.jobs import application
from tests.jobs.workers import BACKENDS, broker_url, worker
from tests.services.redis import RedisServer, redis_server
from tests.waiting import until
from velithon import Velithon
from velithon.jobs import Jobs, JobsUnavailableError
from velithon.stores import store_from_url

pytestmark = pytest.mark.server

JOBS = 1000 if FULL else 60


def ask(url: str, store_url: str, ask_for: Callable[[Velithon], object]) -> None:
    """Run a coroutine that asks for jobs, in an application."""

    async def main() -> None:
        app = Velithon(jobs=application.make_jobs(url), store=store_url)
        app.jobs.schedules = False
        async with asyncio.timeout(60):
            async with app.jobs:
                await ask_for(app)  # type: ignore[misc] # a coroutine function
            await app.store.aclose()

    asyncio.run(main())


def values(store_url: str, *keys: str) -> list[bytes | None]:
    """Return what the workers have kept."""

    async def read() -> list[bytes | None]:
        async with store_from_url(store_url, timeout=10.0) as store:
            return await store.get_many(*keys)

    return asyncio.run(read())


def count(store_url: str, key: str) -> int:
    return int(values(store_url, key)[0] or 0)


@pytest.mark.timeout(300 if FULL else 90)
@pytest.mark.parametrize("backend", BACKENDS)
def test_no_job_is_lost_with_a_worker_that_is_killed(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, shared_redis: RedisServer
) -> None:
    """One worker is killed with -9 in the middle; another does what that one had, and the rest."""
    url = broker_url(backend, request)
    shared_redis.command("FLUSHALL")
    store_url = shared_redis.url.removesuffix("0") + "1"

    async def ask_for_many(app: Velithon) -> None:
        for number in range(JOBS):
            await application.counted.enqueue(number, seconds=0.02)

    with worker(tmp_path, url, store_url) as first:
        ask(url, store_url, ask_for_many)
        until(lambda: count(store_url, "begun") >= JOBS // 3)
        first.kill()
    begun = count(store_url, "begun")
    assert begun < JOBS, "the worker was done before it was killed"
    keys = [f"done:{number}" for number in range(JOBS)]
    with worker(tmp_path, url, store_url):
        until(lambda: None not in values(store_url, *keys), seconds=200 if FULL else 60)


def test_a_worker_that_is_asked_to_end_finishes_its_jobs(tmp_path: Path, shared_redis: RedisServer) -> None:
    """And leaves the others to the next one; its status is 0."""
    shared_redis.command("FLUSHALL")
    url, store_url = shared_redis.url, shared_redis.url.removesuffix("0") + "1"

    async def ask_for_two(app: Velithon) -> None:
        await application.counted.enqueue(0, seconds=0.5)
        await application.counted.enqueue(1, seconds=0.5)

    with worker(tmp_path, url, store_url, "--concurrency", "1") as first:
        ask(url, store_url, ask_for_two)
        until(lambda: count(store_url, "begun") == 1)
        assert first.stop() == 0
    assert values(store_url, "done:0", "done:1") == [b"1", None]
    with worker(tmp_path, url, store_url):
        until(lambda: values(store_url, "done:1") == [b"1"])
    assert values(store_url, "done:0") == [b"1"]


def test_a_job_that_outlives_its_claim_is_done_once(tmp_path: Path, shared_redis: RedisServer) -> None:
    """Its worker renews the claim, so that nobody else begins it."""
    shared_redis.command("FLUSHALL")
    url, store_url = shared_redis.url, shared_redis.url.removesuffix("0") + "1"

    async def ask_for_one(app: Velithon) -> None:
        await application.counted.enqueue(0, seconds=1.5)

    with (
        worker(tmp_path, url, store_url, claim_seconds=0.5),
        worker(tmp_path, url, store_url, claim_seconds=0.5),
    ):
        ask(url, store_url, ask_for_one)
        until(lambda: values(store_url, "done:0") == [b"1"])
    assert count(store_url, "begun") == 1


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "nats"])
def test_the_highest_priority_is_done_first(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, shared_redis: RedisServer
) -> None:
    """Of the jobs that wait; NATS has no priorities."""
    url = broker_url(backend, request)
    shared_redis.command("FLUSHALL")
    store_url = shared_redis.url.removesuffix("0") + "1"

    async def ask_in_the_wrong_order(app: Velithon) -> None:
        for priority in (1, 5, 9):
            await application.counted.options(priority=priority).enqueue(priority)

    with worker(tmp_path, url, store_url, "--concurrency", "1") as first:
        ask(url, store_url, _first_job)  # the queues are made by whoever comes first
        until(lambda: values(store_url, "done:100") == [b"1"])
        first.stop()
    ask(url, store_url, ask_in_the_wrong_order)
    with worker(tmp_path, url, store_url, "--concurrency", "1"):
        until(lambda: None not in values(store_url, "done:1", "done:5", "done:9"))
    orders = [int(order or 0) for order in values(store_url, "order:9", "order:5", "order:1")]
    assert orders == sorted(orders)


async def _first_job(app: Velithon) -> None:
    await application.counted.enqueue(100)


@pytest.mark.asyncio
async def test_priorities_are_refused_where_there_are_none(shared_nats: str) -> None:
    from velithon.jobs import JobsError

    async with Jobs(shared_nats, schedules=False):
        with pytest.raises(JobsError, match="priority"):
            await application.in_a_thread.options(priority=9).enqueue("x")


def test_a_broker_that_restarts_loses_no_job(tmp_path: Path, shared_redis: RedisServer) -> None:
    """Redis that writes what it has to a disk, killed with -9 while jobs wait and run; the worker goes on."""
    shared_redis.command("FLUSHALL")
    store_url = shared_redis.url.removesuffix("0") + "1"

    async def ask_for_some(app: Velithon) -> None:
        for number in range(20):
            await application.counted.enqueue(number, seconds=0.1)

    with (
        redis_server("--appendonly", "yes", "--appendfsync", "always") as broker,
        worker(tmp_path, broker.url, store_url, "--concurrency", "2") as running,
    ):
        ask(broker.url, store_url, ask_for_some)
        until(lambda: count(store_url, "begun") >= 4)
        broker.restart()
        keys = [f"done:{number}" for number in range(20)]
        until(lambda: None not in values(store_url, *keys))
        assert running.process.poll() is None


@pytest.mark.parametrize("backend", ["redis", "celery+redis"])
def test_a_broker_that_is_gone_accepts_nothing(backend: str, shared_redis: RedisServer) -> None:
    """`enqueue` says so, and so does an application that starts without it."""
    store_url = shared_redis.url.removesuffix("0") + "1"
    with redis_server() as broker:
        url = broker_url(backend, _Server(broker))  # type: ignore[arg-type] # what it asks of a request

        async def ask_when_it_is_gone(app: Velithon) -> None:
            await application.in_a_thread.enqueue("x")
            broker.kill()
            begin = time.monotonic()
            with pytest.raises(JobsUnavailableError):
                await application.in_a_thread.options(unique=True).enqueue("y")
            assert time.monotonic() - begin < 15

        ask(url, store_url, ask_when_it_is_gone)
        with pytest.raises(JobsUnavailableError, match="cannot be reached"):
            ask(url, store_url, ask_when_it_is_gone)
        broker.start()


class _Server:
    """Gives `broker_url` another server than the one that all share."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def getfixturevalue(self, name: str) -> RedisServer:
        """Return the server."""
        return self._server


def test_a_schedule_is_kept_once_by_several_schedulers(tmp_path: Path, shared_redis: RedisServer) -> None:
    """A job that is due every second is done once a second."""
    shared_redis.command("FLUSHALL")
    url, store_url = shared_redis.url, shared_redis.url.removesuffix("0") + "1"
    with (
        worker(tmp_path, url, store_url, command="scheduler"),
        worker(tmp_path, url, store_url, command="scheduler"),
        worker(tmp_path, url, store_url),
    ):
        until(lambda: count(store_url, "ticks") >= 1)
        begin, first = time.monotonic(), count(store_url, "ticks")
        until(lambda: count(store_url, "ticks") >= first + 3)
        assert 1.5 < time.monotonic() - begin < 10
