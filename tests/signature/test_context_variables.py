"""Context variables: what layers, dependencies and endpoints set, and who sees it."""

from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from tests.conftest import ClientFactory
from velithon import BackgroundTasks, Depends, Request, Velithon, WebSocket

user: ContextVar[str] = ContextVar("user", default="nobody")


def plain() -> None:
    user.set("plain")


def generator() -> Iterator[None]:
    token = user.set("generator")
    yield
    user.reset(token)


async def asynchronous() -> AsyncIterator[None]:
    token = user.set("asynchronous")
    yield
    user.reset(token)


@pytest.mark.parametrize("dependency", [plain, generator, asynchronous])
def test_an_endpoint_sees_what_a_dependency_set(client: ClientFactory, dependency: Any) -> None:
    """Whether it ran in a thread or not; a generator's exit runs in the context of its entry, so that `reset` works."""
    app = Velithon(dependencies=[Depends(dependency)])

    @app.get("/thread")
    def in_thread() -> str:
        return user.get()

    @app.get("/loop")
    async def in_loop() -> str:
        return user.get()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(user.get())
        await websocket.close()

    with client(app) as http:
        assert http.get("/thread").json() == dependency.__name__
        assert http.get("/loop").json() == dependency.__name__
        with http.websocket_connect("/socket") as connection:
            assert connection.receive_text() == dependency.__name__


def test_an_exit_in_a_thread_sees_what_the_endpoint_set(client: ClientFactory) -> None:
    """As the exit of an asynchronous dependency does."""
    seen = []

    def observe() -> Iterator[None]:
        yield
        seen.append(user.get())

    app = Velithon()

    @app.get("/", dependencies=[Depends(observe)])
    async def endpoint() -> None:
        user.set("endpoint")

    with client(app) as http:
        http.get("/")
    assert seen == ["endpoint"]


def test_background_tasks_see_what_layers_and_the_endpoint_set(client: ClientFactory) -> None:
    """Tasks in threads and in the loop."""
    layer: ContextVar[str] = ContextVar("layer", default="none")
    seen = []
    app = Velithon()

    @app.middleware("http")
    async def dispatch(request: Request, call_next: Any) -> Any:
        layer.set("dispatch")
        return await call_next(request)

    def in_thread() -> None:
        seen.append((layer.get(), user.get()))

    async def in_loop() -> None:
        in_thread()

    @app.get("/")
    async def endpoint(tasks: BackgroundTasks) -> None:
        user.set("endpoint")
        tasks.add_task(in_thread)
        tasks.add_task(in_loop)

    with client(app) as http:
        http.get("/")
    assert seen == [("dispatch", "endpoint")] * 2
