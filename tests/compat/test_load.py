"""Many requests at once, and clients that go away, on both faces."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest

from tests.conftest import AsyncClientFactory
from velithon import Depends, Velithon

pytestmark = pytest.mark.anyio
REQUESTS = 200

number: contextvars.ContextVar[int] = contextvars.ContextVar("number")


@pytest.mark.parametrize("scope", ["function", "request"])
@pytest.mark.parametrize("size", [1, 10, None])
async def test_sync_resources_do_not_deadlock(async_client: AsyncClientFactory, scope: Any, size: int | None) -> None:
    """As many sync endpoints as threads hold a lock-like resource whose exit needs a thread: all finish."""
    app = Velithon(thread_pool_size=size)
    connections = threading.BoundedSemaphore(5)
    opened: list[int] = []
    closed: list[int] = []

    def session() -> Iterator[int]:
        # A pool of connections smaller than the pool of threads: the well-known deadlock.
        assert connections.acquire(timeout=30)
        opened.append(1)
        try:
            yield 1
        finally:
            connections.release()
            closed.append(1)

    @app.get("/{n}")
    def endpoint(n: int, db: Annotated[int, Depends(session, scope=scope)]) -> int:
        return n

    async with async_client(app) as client:
        answers = await asyncio.wait_for(asyncio.gather(*(client.get(f"/{n}") for n in range(REQUESTS))), 60)
    assert [answer.json() for answer in answers] == list(range(REQUESTS))
    assert len(opened) == len(closed) == REQUESTS


async def test_context_variables_go_through_threads(async_client: AsyncClientFactory) -> None:
    """From a layer to sync dependencies, their exits and the sync endpoint, each request with its own."""
    app = Velithon(thread_pool_size=10)
    exits: list[bool] = []

    @app.middleware("http")
    async def layer(request: Any, call_next: Any) -> Any:
        number.set(int(request.query_params["n"]))
        return await call_next(request)

    def resource(n: int) -> Iterator[int]:
        before = number.get()
        yield before
        exits.append(number.get() == n)

    @app.get("/")
    def endpoint(n: int, value: Annotated[int, Depends(resource)]) -> list[int]:
        return [n, value, number.get()]

    async with async_client(app) as client:
        answers = await asyncio.gather(*(client.get(f"/?n={n}") for n in range(REQUESTS)))
    assert [answer.json() for answer in answers] == [[n, n, n] for n in range(REQUESTS)]
    assert exits == [True] * REQUESTS


@pytest.mark.parametrize("sync", [True, False])
async def test_max_concurrency_under_load(async_client: AsyncClientFactory, sync: bool) -> None:
    """No more resources at once than said, however many requests wait."""
    app = Velithon(thread_pool_size=10)
    current, most = 0, 0
    lock = threading.Lock()

    def change(by: int) -> None:
        nonlocal current, most
        with lock:
            current += by
            most = max(most, current)

    def sync_resource() -> Iterator[None]:
        change(1)
        try:
            yield
        finally:
            change(-1)

    async def async_resource() -> AsyncIterator[None]:
        change(1)
        try:
            await asyncio.sleep(0)
            yield
        finally:
            change(-1)

    resource: Any = sync_resource if sync else async_resource

    @app.get("/", dependencies=[Depends(resource, max_concurrency=3)])
    def endpoint() -> int:
        return 1

    async with async_client(app) as client:
        answers = await asyncio.wait_for(asyncio.gather(*(client.get("/") for _ in range(REQUESTS))), 60)
    assert {answer.status_code for answer in answers} == {200}
    assert 1 <= most <= 3
    assert current == 0


@pytest.mark.parametrize("sync", [True, False])
async def test_cancelled_requests_close_what_they_opened(async_client: AsyncClientFactory, sync: bool) -> None:
    """Whatever moment a request is cancelled at: what was opened is closed, and the pool stays whole."""
    app = Velithon(thread_pool_size=2)
    opened: list[int] = []
    closed: list[int] = []
    entered = asyncio.Event()
    release = threading.Event()
    loop = asyncio.get_running_loop()

    async def outer() -> AsyncIterator[None]:
        opened.append(1)
        try:
            yield
        finally:
            await asyncio.sleep(0)
            closed.append(1)

    def inner(outer: Annotated[None, Depends(outer)]) -> Iterator[None]:
        opened.append(2)
        try:
            yield
        finally:
            closed.append(2)

    @app.get("/sync", dependencies=[Depends(inner)])
    def wait_in_thread() -> int:
        loop.call_soon_threadsafe(entered.set)
        assert release.wait(30)
        return 1

    @app.get("/async", dependencies=[Depends(inner)])
    async def wait_in_loop() -> int:
        entered.set()
        await asyncio.Event().wait()
        return 1

    @app.get("/quick")
    def quick() -> int:
        return 1

    async with async_client(app) as client:
        task = asyncio.create_task(client.get("/sync" if sync else "/async"))
        await entered.wait()
        task.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        answers = await asyncio.wait_for(asyncio.gather(*(client.get("/quick") for _ in range(20))), 30)
        assert {answer.status_code for answer in answers} == {200}
    assert sorted(opened) == sorted(closed) == [1, 2]
