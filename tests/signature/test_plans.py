"""What plans do over both protocols: bodies and their limits, forms and their files, injected objects, WebSockets."""

from __future__ import annotations

import asyncio
import linecache
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from starlette.datastructures import UploadFile as StarletteUploadFile
from typing_extensions import TypeAliasType

from tests.conftest import ClientFactory
from velithon import (
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    File,
    Form,
    Header,
    Query,
    Response,
    UploadFile,
    Velithon,
    WebSocket,
)
from velithon.concurrency import ThreadPool, use_thread_pool
from velithon.datastructures import URL, Address, Headers, QueryParams, State
from velithon.di import FactoryProvider, Provide, ServiceContainer, SingletonProvider, inject
from velithon.exceptions import RequestValidationError
from velithon.requests.request import Request
from velithon.signature import compile_http, explain, read_endpoint
from velithon.testclient import TestClient


def test_parts_of_the_connection_are_injected(client: ClientFactory) -> None:
    """Starlette's connection objects by annotation, and `request` by its name alone."""
    app = Velithon()

    @app.get("/{name}")
    async def root(  # type: ignore[no-untyped-def]
        request,
        name: str,
        headers: Headers,
        query: QueryParams,
        url: URL,
        state: State,
        address: Address | None,
        owner: Velithon,
    ):
        state.seen = True
        assert owner is app
        assert request.state.seen
        return [request.method, name, headers["x-token"], query.getlist("a"), url.path, address is not None]

    answer = client(app).get("/me?a=1&a=2", headers={"x-token": "t"})
    assert answer.json() == ["GET", "me", "t", ["1", "2"], "/me", True]


def test_response_and_tasks_are_shared_with_dependencies(client: ClientFactory) -> None:
    app = Velithon()
    done: list[str] = []

    def dependency(response: Response, tasks: BackgroundTasks) -> None:
        response.headers["x-dependency"] = "yes"
        tasks.add_task(done.append, "dependency")

    @app.get("/", dependencies=[Depends(dependency)])
    async def root(response: Response, tasks: BackgroundTasks) -> dict[str, int]:
        response.status_code = 202
        response.set_cookie("c", "v")
        tasks.add_task(done.append, "endpoint")
        return {"a": 1}

    answer = client(app).get("/")
    assert (answer.status_code, answer.json(), answer.headers["x-dependency"]) == (202, {"a": 1}, "yes")
    assert answer.cookies["c"] == "v"
    assert done == ["dependency", "endpoint"]


def test_form_limits_answer_400(client: ClientFactory) -> None:
    app = Velithon()

    @app.post("/", form_limits={"max_files": 1, "max_fields": 2, "max_part_size": 10})
    async def root(
        a: Annotated[str, Form()] = "", file: Annotated[UploadFile | None, File()] = None
    ) -> list[str | int | None]:
        return [a, None if file is None else file.size]

    session = client(app)
    # The limit of a part is one of fields: files are spooled to disk and may be larger.
    assert session.post("/", data={"a": "x"}, files={"file": b"y" * 100}).json() == ["x", 100]
    for options in (
        {"files": [("file", b"1"), ("file", b"2")]},
        {"files": {"file": b"1"}, "data": {"a": "x" * 11}},
        {"files": {"file": b"1"}, "data": {"a": "1", "b": "2", "c": "3"}},
        {"data": {"a": "1", "b": "2", "c": "3"}},
        {"data": {"a": "x" * 11}},
    ):
        answer = session.post("/", **options)
        assert answer.status_code in (400, 413), options
        assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("fail", [False, True])
def test_files_of_forms_are_closed(client: ClientFactory, fail: bool) -> None:
    """Whatever the endpoint does, its files are closed, after the background tasks."""
    app = Velithon()
    kept: list[StarletteUploadFile] = []
    seen: list[bool] = []

    @app.post("/")
    async def root(file: UploadFile, other: Annotated[bytes, File()], tasks: BackgroundTasks) -> int:
        kept.append(file)
        tasks.add_task(lambda: seen.append(file.file.closed))
        if fail:
            raise ValueError("endpoint")
        return len(other)

    session = client(app, raise_server_exceptions=False)
    answer = session.post("/", files={"file": b"x" * 2_000_000, "other": b"abc"})
    assert answer.status_code == (500 if fail else 200)
    assert kept[0].file.closed
    assert seen == ([] if fail else [False])


def test_content_type_is_strict_unless_switched_off(client: ClientFactory) -> None:
    strict, loose = Velithon(), Velithon(strict_content_type=False)
    for app in (strict, loose):

        @app.post("/")
        async def root(a: Annotated[int, Body(embed=True)]) -> int:
            return a

    assert client(strict).post("/", content=b'{"a": 1}').status_code == 422
    assert client(loose).post("/", content=b'{"a": 1}').json() == 1


def test_websockets_take_parameters_and_dependencies(client: ClientFactory) -> None:
    app = Velithon()
    log: list[str] = []

    async def resource(token: Annotated[str | None, Cookie()] = None) -> AsyncIterator[str | None]:
        log.append("open")
        try:
            yield token
        finally:
            log.append("close")

    def sync_resource() -> Iterator[int]:
        yield 7
        log.append("sync close")

    @app.websocket("/{room}")
    async def talk(  # type: ignore[no-untyped-def]
        websocket,
        room: int,
        token: Annotated[str | None, Depends(resource)],
        number: Annotated[int, Depends(sync_resource, scope="function")],
        q: Annotated[list[int], Query()],
        x_name: Annotated[str, Header()] = "none",
    ):
        await websocket.accept()
        await websocket.send_json([room, token, number, q, x_name])
        await websocket.close()

    session = client(app)
    with session.websocket_connect("/3?q=1&q=2", headers={"cookie": "token=abc", "x-name": "n"}) as websocket:
        assert websocket.receive_json() == [3, "abc", 7, [1, 2], "n"]
    assert log == ["open", "sync close", "close"]


def test_websockets_may_annotate_their_socket(client: ClientFactory) -> None:
    app = Velithon()

    @app.websocket("/")
    async def talk(socket: WebSocket, q: int = 1) -> None:
        await socket.accept()
        await socket.send_json(q)

    with client(app).websocket_connect("/?q=5") as websocket:
        assert websocket.receive_json() == 5


class Database:
    """Something that is made once."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1


class Container(ServiceContainer):
    """Where it is made."""

    database = SingletonProvider(Database)
    number = FactoryProvider(lambda: 3)


def test_containers_provide_parameters(client: ClientFactory) -> None:
    """A singleton is made once, an override is seen by plans that exist already, `inject` changes nothing."""
    container = Container()
    app = Velithon()
    Database.made = 0

    def dependency(number: int = Provide[container.number]) -> int:
        return number

    @app.get("/")
    @inject
    async def root(
        given: Annotated[int, Depends(dependency)],
        q: int = 1,
        database: Database = Provide[container.database],
        number: int = Provide[container.number],
    ) -> list[Any]:
        return [type(database).__name__, number, given, q]

    session = client(app)
    for _ in range(2):
        assert session.get("/?q=5").json() == ["Database", 3, 3, 5]
    assert Database.made == 1
    with container.override(container.number, lambda: 9):
        assert session.get("/").json() == ["Database", 9, 9, 1]
    with container.override(container.database, "other"):
        assert session.get("/").json() == ["str", 3, 3, 1]
    assert session.get("/").json() == ["Database", 3, 3, 1]
    assert Database.made == 1


def test_a_request_without_a_reader_of_its_body_is_not_read(client: ClientFactory) -> None:
    app = Velithon()

    @app.post("/")
    async def root(request: Request) -> int:
        assert "_body" not in request.__dict__
        return len(await request.body())

    assert client(app).post("/", content=b"abc").json() == 3


def test_the_error_shows_the_body_parsed(client: ClientFactory) -> None:
    """Handlers of validation errors find the body as data, also where only another parameter failed."""
    app = Velithon()
    bodies: list[Any] = []

    @app.exception_handler(RequestValidationError)
    async def handle(request: Request, error: RequestValidationError) -> Response:
        bodies.append(error.body)
        return Response(status_code=422)

    class Item(BaseModel):
        a: int

    @app.post("/")
    async def root(item: Item, q: int = 1) -> int:
        return q

    session = client(app)
    session.post("/?q=x", json={"a": 1})
    session.post("/", json={"a": "x"})
    session.post("/?q=x")
    session.post("/", content=b"raw")
    assert bodies == [{"a": 1}, {"a": "x"}, None, b"raw"]


def test_sync_endpoints_and_sync_resources_do_not_wait_for_each_other() -> None:
    """Two hundred requests at a time finish with ten threads, each holding a resource while its endpoint blocks."""

    def resource() -> Iterator[int]:
        yield 1

    def endpoint(value: Annotated[int, Depends(resource)]) -> int:
        return value

    plan = compile_http(read_endpoint(endpoint, path="/"))

    async def one() -> None:
        request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})
        await plan(request)
        assert request._exit_stack is not None
        await request._exit_stack.aclose()

    async def scenario() -> None:
        pool = ThreadPool(10)
        use_thread_pool(pool)
        await asyncio.wait_for(asyncio.gather(*(one() for _ in range(200))), 30)
        await pool.aclose()

    asyncio.run(scenario())


Positive = TypeAliasType("Positive", Annotated[int, Query(gt=0)])


def test_type_aliases_open(client: ClientFactory) -> None:
    """What a PEP 695 alias names counts as if it were written in place."""
    app = Velithon()

    @app.get("/")
    async def root(a: Positive, b: Positive = 2) -> list[int]:
        return [a, b]

    session = client(app)
    assert session.get("/?a=3").json() == [3, 2]
    assert session.get("/?a=0").json()["detail"][0]["loc"] == ["query", "a"]


def test_plans_are_named_after_what_they_answer() -> None:
    """A traceback shows the method, the path and the endpoint, and the generated line itself."""
    app = Velithon()

    @app.post("/items/{key}")
    async def read(key: int) -> None:
        raise ValueError("seen")

    with pytest.raises(ValueError, match="seen") as caught:
        TestClient(app).post("/items/3")
    shown = "".join(traceback.format_exception(caught.value))
    assert f'File "<velithon POST /items/{{key}} {__name__}.{read.__qualname__}' in shown
    assert "return to_response(await call_endpoint(key)" in shown


def test_different_plans_of_one_name_keep_their_lines() -> None:
    def make(default: int) -> Callable[..., Any]:
        async def endpoint(a: int = default) -> None: ...
        async def other() -> None: ...

        other.__qualname__ = endpoint.__qualname__
        return endpoint if default else other

    plans = [compile_http(read_endpoint(make(default), path="/")) for default in (0, 1)]
    names = [plan.__code__.co_filename for plan in plans]
    assert names[0] != names[1]
    assert ["".join(linecache.getlines(name)) for name in names] == [explain(plan) for plan in plans]
