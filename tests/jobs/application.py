"""An application with jobs, which the tests and the workers that they start both import."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from velithon import Depends, Velithon
from velithon.jobs import CeleryBackend, JobContext, Jobs, TaskiqBackend, every, get_jobs, job
from velithon.middleware.request_id import get_request_id
from velithon.stores import Store, store_from_url


@asynccontextmanager
async def lifespan(app: Velithon) -> AsyncIterator[None]:
    """Note that it runs."""
    app.state.is_started = True
    yield
    app.state.is_started = False


def make_jobs(url: str, claim_seconds: float = 1.0) -> Jobs:
    """Return jobs over a backend that soon gives up a worker that is gone."""
    if url.startswith("celery+"):
        return Jobs(CeleryBackend(url.removeprefix("celery+"), visibility_timeout=max(2.0, claim_seconds)))
    return Jobs(TaskiqBackend(url, claim_seconds=claim_seconds))


def make_app() -> Velithon:
    """Return the application that the environment describes."""
    claim = float(os.environ.get("TEST_CLAIM_SECONDS", "1"))
    # Longer than a machine that does much else may take.
    store = store_from_url(os.environ["TEST_STORE_URL"], timeout=10.0)
    return Velithon(lifespan=lifespan, jobs=make_jobs(os.environ["TEST_JOBS_URL"], claim), store=store)


def store_of(app: Velithon) -> Store:
    """A dependency: where the tests look."""
    return app.store


Shared = Annotated[Store, Depends(store_of)]


async def opened(app: Velithon) -> AsyncIterator[str]:
    """A dependency with an exit."""
    yield "open"
    await app.store.increment("closed")


@job
async def add(
    a: int, b: int, app: Velithon, jobs: Annotated[Jobs, Depends(get_jobs)], value: Annotated[str, Depends(opened)]
) -> list[object]:
    """Add two numbers, and tell what there is."""
    return [a + b, app.state.is_started, jobs is app.jobs, value]


@job
def in_a_thread(word: str) -> str:
    """Return the word."""
    return word * 2


@job(retries=3, backoff=0.05)
async def fails(times: int, context: JobContext) -> int:
    """Fail so many times."""
    if context.attempt <= times:
        raise KeyError(f"attempt {context.attempt}")
    return context.attempt


@job(timeout=0.1)
async def hangs() -> None:
    """Never end."""
    await asyncio.sleep(60)


@job
async def waits(name: str, store: Shared, context: JobContext) -> str:
    """Wait until the test lets it go."""
    await context.progress("waiting")
    async with asyncio.timeout(20):
        while not await store.exists(f"go:{name}"):
            await asyncio.sleep(0.01)
    return name


@job
async def whose() -> str | None:
    """Log, and return the request that asked for it."""
    logging.getLogger("mine").warning("hello from a job")
    return get_request_id()


@job
async def asks_for_more(left: int) -> int:
    """Ask for another, unless it is the last."""
    return left if not left else int((await (await asks_for_more.enqueue(left - 1)).result(10)) + 1)


@job
async def counted(number: int, store: Shared, seconds: float = 0.0) -> None:
    """Take a while, and count."""
    await store.increment("begun")
    await asyncio.sleep(seconds)
    await store.increment(f"done:{number}")
    order = await store.increment("order")
    await store.set(f"order:{number}", str(order).encode())


@job(schedule=every(seconds=1))
async def ticks(store: Shared) -> None:
    """Count the seconds, once for all schedulers."""
    await store.increment("ticks")
