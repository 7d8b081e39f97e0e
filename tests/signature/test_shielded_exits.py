"""Exits of dependencies run to their end, whenever the request is cancelled."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import anyio
import anyio.from_thread
import pytest

from tests.conftest import AsyncClientFactory
from velithon import Depends, Form, Velithon

pytestmark = pytest.mark.anyio

Scope = Literal["function", "request"]


async def asynchronous(events: list[str], at_exit: Callable[[], None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        at_exit()
        await anyio.sleep(0)
        await anyio.sleep(0)
        events.append("exit")


def threaded(events: list[str], at_exit: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    finally:
        at_exit()
        anyio.from_thread.run(anyio.sleep, 0)
        events.append("exit")


async def in_a_group(events: list[str], at_exit: Callable[[], None]) -> AsyncIterator[None]:
    """Its own scope ends before the rest of its exit runs."""
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
            try:
                yield
            finally:
                at_exit()
    finally:
        await anyio.sleep(0)
        events.append("exit")


@pytest.mark.parametrize("scope", ["function", "request"])
@pytest.mark.parametrize("moment", ["endpoint", "before the exit", "exit"])
@pytest.mark.parametrize("kind", [asynchronous, threaded, in_a_group])
async def test_an_exit_runs_to_its_end(async_client: AsyncClientFactory, scope: Scope, moment: str, kind: Any) -> None:
    """Cancelled while the endpoint waits, after it returned, or when the exit has begun."""
    events: list[str] = []
    around = anyio.CancelScope()

    def at_exit() -> None:
        if moment == "exit":
            around.cancel() if kind is not threaded else anyio.from_thread.run_sync(around.cancel)

    app = Velithon()
    dependency = Depends(partial(kind, events, at_exit), scope=scope)

    @app.get("/", dependencies=[dependency])
    async def endpoint() -> str:
        if moment != "exit":
            around.cancel()
        if moment == "endpoint":
            await anyio.sleep(0)
            raise AssertionError("The endpoint was not cancelled.")
        return "done"

    async with async_client(app) as http:
        with anyio.fail_after(10), around:
            await http.get("/")
    assert events == ["exit"]
    assert around.cancel_called


async def test_a_layer_may_end_its_scope_before_the_exits(async_client: AsyncClientFactory) -> None:
    """A dispatch layer with a time limit returns before the dependencies of the request exit."""
    events: list[str] = []
    app = Velithon()

    @app.middleware("http")
    async def limit(request: Any, call_next: Any) -> Any:
        with anyio.fail_after(5):
            return await call_next(request)

    async def dependency() -> AsyncIterator[None]:
        yield
        await anyio.sleep(0)
        events.append("exit")

    @app.get("/", dependencies=[Depends(dependency)])
    async def endpoint() -> str:
        return "done"

    async with async_client(app) as http:
        assert (await http.get("/")).json() == "done"
    assert events == ["exit"]


async def test_a_form_without_files_leaves_no_scope_behind(async_client: AsyncClientFactory) -> None:
    """The exits of a function's dependencies and of the form share a shield, and the form has nothing to close."""
    app = Velithon()

    async def dependency() -> AsyncIterator[None]:
        yield

    @app.post("/", dependencies=[Depends(dependency, scope="function")])
    async def endpoint(name: Annotated[str, Form()]) -> str:
        return name

    async with async_client(app) as http:
        with anyio.fail_after(10):
            assert (await http.post("/", data={"name": "Ada"})).json() == "Ada"


@pytest.mark.parametrize("place", ["endpoint", "dependency"])
async def test_a_thread_that_waits_for_the_loop_is_cancelled(async_client: AsyncClientFactory, place: str) -> None:
    """What it awaits by `anyio.from_thread` belongs to the cancel scope of the request."""
    entered = anyio.Event()
    app = Velithon()

    async def forever() -> None:
        entered.set()
        await anyio.sleep_forever()

    def wait() -> None:
        anyio.from_thread.run(forever)

    if place == "endpoint":
        app.get("/")(wait)
    else:
        app.get("/", dependencies=[Depends(wait)])(lambda: None)

    async with async_client(app) as http:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(http.get, "/")
                await entered.wait()
                group.cancel_scope.cancel()
