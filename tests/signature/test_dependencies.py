"""Dependencies beyond FastAPI's, and what happens to them when a request is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
import pytest

from tests.conftest import ClientFactory
from velithon import Depends, Form, Query, Request, Response, Security, Velithon, WebSocket
from velithon.exceptions import DependencyScopeError, RegistrationError, VelithonError
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.security import SecurityScopes


def test_application_scope_is_made_once_and_closed_at_shutdown(client: ClientFactory) -> None:
    """A dependency with scope="app" lives as long as the application."""
    log: list[str] = []
    app = Velithon()

    def settings() -> str:
        log.append("settings")
        return "settings"

    async def pool(name: str = Depends(settings, scope="app")) -> AsyncIterator[str]:
        log.append("open")
        yield f"pool of {name}"
        log.append("close")

    def sync_pool(owner: Velithon) -> Iterator[str]:
        assert owner is app
        log.append("sync open")
        yield "sync"
        log.append("sync close")

    def use(given: str = Depends(pool, scope="app")) -> str:
        return given

    @app.get("/")
    async def root(
        a: Annotated[str, Depends(pool, scope="app")],
        b: Annotated[str, Depends(use)],
        c: Annotated[str, Depends(sync_pool, scope="app")],
        d: Annotated[str, Depends(settings, scope="app")],
    ) -> list[str]:
        return [a, b, c, d]

    with client(app) as session:
        for _ in range(3):
            assert session.get("/").json() == ["pool of settings", "pool of settings", "sync", "settings"]
        assert log == ["settings", "open", "sync open"]
    assert log == ["settings", "open", "sync open", "sync close", "close"]


def test_application_scope_is_made_once_by_many_requests_at_a_time() -> None:
    """Requests that come together wait for the one that makes the value; a failure is tried again."""
    from velithon.signature import AppValues

    made: list[int] = []

    async def scenario() -> None:
        scope = AppValues()

        async def make(stack: contextlib.AsyncExitStack) -> int:
            await asyncio.sleep(0)
            made.append(1)
            if len(made) == 1:
                raise RuntimeError("first")
            return len(made)

        results = await asyncio.gather(*(scope.get("key", make) for _ in range(5)), return_exceptions=True)
        assert isinstance(results[0], RuntimeError)
        assert results[1:] == [2, 2, 2, 2]
        await scope.aclose()
        assert scope.values == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["request", "parameter", "dependency"])
def test_application_scope_takes_nothing_of_a_request(kind: str) -> None:
    app = Velithon()

    def by_request(request: Request) -> int:
        return 1

    def by_parameter(q: int) -> int:
        return 1

    def by_dependency(q: int = Depends(by_parameter)) -> int:
        return 1

    wanted = {"request": by_request, "parameter": by_parameter, "dependency": by_dependency}[kind]
    with pytest.raises(RegistrationError, match='scope "app"'):

        @app.get("/")
        async def root(value: Annotated[int, Depends(wanted, scope="app")]) -> int:
            return value


def test_application_scope_refuses_what_means_nothing_for_it() -> None:
    app = Velithon()

    def once() -> int:
        return 1

    for depends in (Depends(once, scope="app", use_cache=False), Depends(once, scope="app", max_concurrency=3)):
        with pytest.raises(RegistrationError, match="made once"):

            @app.get("/")
            async def root(value: int = depends) -> int:
                return value


def test_a_longer_scope_cannot_use_a_shorter_one() -> None:
    app = Velithon()

    def short() -> int:
        return 1

    def long(value: Annotated[int, Depends(short, scope="function")]) -> Iterator[int]:
        yield value

    with pytest.raises(DependencyScopeError, match="long.*parameter 'value'"):

        @app.get("/")
        async def root(value: Annotated[int, Depends(long)]) -> int:
            return value


def test_context_manager_functions_are_dependencies(client: ClientFactory) -> None:
    """What contextlib decorates works undressed, and its exit runs after the response."""
    log: list[str] = []
    app = Velithon()

    @contextlib.contextmanager
    def sync_context() -> Iterator[int]:
        yield 1
        log.append("sync")

    @contextlib.asynccontextmanager
    async def async_context() -> AsyncIterator[int]:
        yield 2
        log.append("async")

    @app.get("/")
    async def root(a: Annotated[int, Depends(sync_context)], b: Annotated[int, Depends(async_context)]) -> list[int]:
        log.append("endpoint")
        return [a, b]

    assert client(app).get("/").json() == [1, 2]
    assert log == ["endpoint", "async", "sync"]


def test_exit_code_may_await_when_the_request_was_cancelled(client: ClientFactory) -> None:
    """A time limit in a middleware cancels at every await; exits are shielded from it."""
    log: list[str] = []
    app = Velithon()

    async def resource() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await anyio.lowlevel.checkpoint()
            log.append("closed")

    async def group() -> AsyncIterator[int]:
        async with anyio.create_task_group():
            yield 1
        log.append("group closed")

    class Limit(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            with anyio.move_on_after(0.05):
                return await call_next(request)
            return Response("late", status_code=504)

    app.add_middleware(Limit)

    @app.get("/")
    async def root(a: Annotated[int, Depends(resource)]) -> int:
        await anyio.sleep_forever()
        return a

    @app.get("/group")
    async def with_group(a: Annotated[int, Depends(group, scope="function")]) -> int:
        return a

    session = client(app)
    assert session.get("/").status_code == 504
    assert log == ["closed"]
    assert session.get("/group").json() == 1
    assert log == ["closed", "group closed"]


def test_max_concurrency_limits_calls_and_what_they_yield() -> None:
    from velithon.requests.request import Request as OurRequest
    from velithon.signature import compile_http, read_endpoint

    running: list[int] = []
    most: list[int] = []

    async def limited() -> AsyncIterator[int]:
        running.append(1)
        most.append(len(running))
        yield 1
        running.pop()

    async def endpoint(value: Annotated[int, Depends(limited, max_concurrency=2)]) -> int:
        await asyncio.sleep(0)
        return value

    plan = compile_http(read_endpoint(endpoint, path="/"))

    async def one() -> None:
        request = OurRequest({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})
        await plan(request)
        assert request._exit_stack is not None
        await request._exit_stack.aclose()

    async def scenario() -> None:
        await asyncio.gather(*(one() for _ in range(6)))

    asyncio.run(scenario())
    assert max(most) == 2
    assert running == []


def test_security_scopes_add_up_from_the_endpoint_down(client: ClientFactory) -> None:
    app = Velithon()

    async def inner(scopes: SecurityScopes) -> list[str]:
        return scopes.scopes

    async def outer(found: Annotated[list[str], Security(inner, scopes=["c"])]) -> list[str]:
        return found

    @app.get("/")
    async def root(found: Annotated[list[str], Security(outer, scopes=["a", "b"])]) -> list[str]:
        return found

    assert client(app).get("/").json() == ["a", "b", "c"]


def test_depends_refuses_what_it_cannot_do() -> None:
    from velithon import params

    wrong: Any = "session"
    with pytest.raises(ValueError, match=r"scope must be .*'session'"):
        params.Depends(test_depends_refuses_what_it_cannot_do, scope=wrong)
    with pytest.raises(ValueError, match="max_concurrency"):
        params.Depends(test_depends_refuses_what_it_cannot_do, max_concurrency=0)


def test_generators_yield_once(client: ClientFactory) -> None:
    """A dependency that yields twice, or never, is told so."""
    app = Velithon()

    async def twice() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def never() -> AsyncIterator[int]:
        if app is None:
            yield 1

    async def catches() -> AsyncIterator[int]:
        try:
            yield 1
        except ValueError:
            yield 2

    async def stops() -> AsyncIterator[int]:
        yield 1

    @app.get("/twice")
    async def use_twice(a: Annotated[int, Depends(twice, scope="function")]) -> int:
        return a

    @app.get("/never")
    async def use_never(a: Annotated[int, Depends(never)]) -> int:
        return a

    @app.get("/catches")
    async def use_catches(a: Annotated[int, Depends(catches)]) -> int:
        raise ValueError

    @app.get("/stops")
    async def use_stops(a: Annotated[int, Depends(stops)]) -> int:
        raise StopAsyncIteration

    session = client(app)
    with pytest.raises(VelithonError, match="more than once"):
        session.get("/twice")
    with pytest.raises(VelithonError, match="without yielding"):
        session.get("/never")
    with pytest.raises(VelithonError, match="more than once"):
        session.get("/catches")
    with pytest.raises(StopAsyncIteration):
        session.get("/stops")


def test_an_override_can_add_the_body(client: ClientFactory) -> None:
    """Where the endpoint had none, it is what the override takes; a form stays a form."""
    app = Velithon()

    def current() -> str:
        return "original"

    def from_form(name: Annotated[str, Form()]) -> str:
        return name

    @app.post("/none")
    def none(value: Annotated[str, Depends(current)]) -> str:
        return value

    @app.post("/form")
    def form(other: Annotated[str, Form()], value: Annotated[str, Depends(current)]) -> list[str]:
        return [other, value]

    app.dependency_overrides[current] = from_form
    with client(app) as http:
        assert http.post("/none", data={"name": "given"}).json() == "given"
        assert http.post("/none").status_code == 422
        assert http.post("/form", data={"name": "given", "other": "more"}).json() == ["more", "given"]


def test_a_marker_stands_for_its_dependency_in_overrides(client: ClientFactory) -> None:
    """`Depends(...)` and an alias with one override what they depend on, of HTTP and WebSockets."""

    def current() -> str:
        return "original"

    Current = Annotated[str, Depends(current)]
    app = Velithon()

    @app.get("/")
    def get(value: Current) -> str:
        return value

    @app.websocket("/")
    async def follow(websocket: WebSocket, value: Current) -> None:
        await websocket.accept()
        await websocket.send_text(value)

    with client(app) as http:
        for key in (Depends(current, scope="request"), Security(current), Current, current):
            overrides: dict[Any, Any] = {key: lambda: "another"}
            app.dependency_overrides = overrides
            assert http.get("/").json() == "another"
            with http.websocket_connect("/") as websocket:
                assert websocket.receive_text() == "another"
            app.dependency_overrides.clear()
            assert http.get("/").json() == "original"
        app.dependency_overrides = {current: Depends(lambda: "marked")}
        assert http.get("/").json() == "marked"


@pytest.mark.parametrize("key", ["current", Depends(), Annotated[str, Query()]])
def test_overrides_of_what_is_no_dependency_are_refused(client: ClientFactory, key: Any) -> None:
    app = Velithon()

    @app.get("/")
    def get(value: Annotated[str, Depends(lambda: "original")]) -> str:
        return value

    app.dependency_overrides[key] = lambda: "another"
    with client(app) as http, pytest.raises(TypeError, match="dependency_overrides takes callables"):
        http.get("/")


def test_generators_as_calls_of_objects(client: ClientFactory) -> None:
    """An object whose `__call__` is a generator of either kind is a dependency with an exit."""
    events: list[str] = []

    class Resource:
        async def __call__(self, number: int = 1) -> AsyncIterator[int]:
            yield number
            events.append("exit")

    class Threaded:
        def __call__(self, number: int = 1) -> Iterator[int]:
            yield number
            events.append("exit in a thread")

    app = Velithon()

    @app.get("/")
    def read(first: Annotated[int, Depends(Resource())], second: Annotated[int, Depends(Threaded())]) -> list[int]:
        return [first, second]

    with client(app) as http:
        assert http.get("/?number=3").json() == [3, 3]
    assert events == ["exit in a thread", "exit"]


def test_an_asynchronous_wrapper_of_a_generator(client: ClientFactory) -> None:
    """What the wrapper is counts, not what it wraps."""

    def inner() -> Iterator[str]:
        yield "value"

    @functools.wraps(inner)
    async def wrapper() -> AsyncIterator[str]:
        for value in inner():
            yield f"wrapped {value}"

    app = Velithon()

    @app.get("/")
    def read(value: Annotated[str, Depends(wrapper)]) -> str:
        return value

    with client(app) as http:
        assert http.get("/").json() == "wrapped value"
