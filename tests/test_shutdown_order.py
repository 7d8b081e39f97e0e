"""What an application has begun is finished before anything that it may use is closed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.conftest import ClientFactory
from velithon import BackgroundTasks, Velithon
from velithon.jobs import job

events: list[str] = []


@job(name="tests.shutdown_order")
async def work() -> None:
    """Take a while."""
    await asyncio.sleep(0.05)
    events.append("job")


@asynccontextmanager
async def lifespan(app: Velithon) -> AsyncIterator[None]:
    """Stand for a pool of connections."""
    yield
    events.append("closed")


@pytest.fixture
def app() -> Velithon:
    """An application whose work takes longer than its requests."""
    events.clear()
    app = Velithon(lifespan=lifespan)

    @app.get("/jobs")
    async def ask() -> None:
        await work.enqueue()

    @app.get("/tasks")
    async def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(work.enqueue)

    return app


@pytest.mark.parametrize("path", ["/jobs", "/tasks"])
def test_jobs_end_before_the_lifespan(client: ClientFactory, app: Velithon, path: str) -> None:
    """A job finds the connections that the lifespan opened."""
    with client(app) as caller:
        assert caller.get(path).status_code == 200
    assert events == ["job", "closed"]
