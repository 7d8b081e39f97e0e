"""What endpoints return is answered as FastAPI answers it: status, headers and bytes, on both faces."""

from __future__ import annotations

import datetime as dt
import enum
import functools
import typing
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any

import fastapi
import fastapi.responses
import fastapi.sse
import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response as StarletteResponse
from starlette.testclient import TestClient as StarletteClient
from typing_extensions import TypedDict

import velithon
import velithon.responses
import velithon.sse
from tests.conftest import ClientFactory
from velithon.exceptions import RegistrationError, ResponseValidationError

# What FastAPI answers is compared, whether it was meant or not.
pytestmark = pytest.mark.filterwarnings("ignore:.*It returned:velithon.exceptions.RegistrationWarning")

Build = Callable[[Any, Any], None]


class Item(BaseModel):
    name: str
    price: float = 1.5
    tags: list[str] = []
    maybe: int | None = None


class Secret(Item):
    password: str = "hidden"


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    inner_name: str = Field(alias="innerName")


class Shade(enum.Enum):
    DARK = "dark"


class Rich(BaseModel):
    when: dt.datetime = dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    day: dt.date = dt.date(2020, 1, 2)
    span: dt.timedelta = dt.timedelta(hours=1)
    number: Decimal = Decimal("1.10")
    ident: uuid.UUID = uuid.UUID(int=7)
    raw: bytes = b"raw"
    shades: set[Shade] = {Shade.DARK}
    nothing: float = float("nan")


class Encoded(BaseModel):
    model_config = ConfigDict(ser_json_timedelta="float", ser_json_inf_nan="constants")
    span: dt.timedelta = dt.timedelta(hours=1)
    number: float = float("inf")


class Typed(TypedDict):
    a: int


@dataclass
class Data:
    name: str
    _hidden: int = 1


class Row:
    """What an ORM gives."""

    def __init__(self) -> None:
        self.name = "row"
        self.price = 2
        self.secret = "s"


class Prefixed(velithon.responses.JSONResponse):
    media_type = "application/vnd.test+json"


class Own(StarletteResponse):
    media_type = "text/own"

    def render(self, content: Any) -> bytes:
        return f"own {content!r}".encode()


def ours_or_theirs(build: Build, client: ClientFactory) -> tuple[Any, Any]:
    """Build the same application with either framework and return a client for each."""
    ours, theirs = velithon.Velithon(), fastapi.FastAPI()
    build(ours, velithon)
    build(theirs, fastapi)
    return client(ours, raise_server_exceptions=False), StarletteClient(theirs, raise_server_exceptions=False)


def assert_same(ours: Any, theirs: Any) -> None:
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    assert sorted(ours.headers.multi_items()) == sorted(theirs.headers.multi_items())


RESULTS: dict[str, tuple[Callable[[], Any], Any, dict[str, Any]]] = {
    "dict": (lambda: {"a": [1, None, "ü"]}, None, {}),
    "none": (lambda: None, None, {}),
    "string": (lambda: "text", None, {}),
    "model": (lambda: Item(name="x"), None, {}),
    "models": (lambda: [Item(name="x"), Secret(name="y")], None, {}),
    "rich without model": (lambda: {"m": Rich(nothing=1.0), "d": Decimal("1.5"), "s": {1}}, None, {}),
    "dataclass": (lambda: Data("x"), None, {}),
    "row": (Row, None, {}),
    "nan": (lambda: {"n": float("nan")}, None, {}),
    "model nan": (lambda: Item(name="x", price=float("inf")), None, {}),
    "annotated model": (lambda: Item(name="x"), Item, {}),
    "annotated dict to model": (lambda: {"name": "x", "price": "2", "other": 1}, Item, {}),
    "filtered subclass": (lambda: Secret(name="x"), Item, {}),
    "list of models": (lambda: [Secret(name="x"), {"name": "y"}], list[Item], {}),
    "orm": (Row, Item, {}),
    "invalid": (lambda: {"price": "x"}, Item, {}),
    "rich": (Rich, Rich, {}),
    "encoded": (Encoded, Encoded, {}),
    "any": (lambda: {"d": Decimal("1.5")}, Any, {}),
    "typed dict": (lambda: {"a": "1"}, Typed, {}),
    "annotated dataclass": (lambda: Data("x"), Data, {}),
    "dict annotation": (lambda: {"a": {1: 2}}, dict[str, Any], {}),
    "union": (lambda: Secret(name="x"), Secret | Item, {}),
    "optional": (lambda: None, Item | None, {}),
    "scalar": (lambda: "5", int, {}),
    "annotation none": (lambda: {"a": 1}, type(None), {}),
    "response model": (lambda: Secret(name="x"), Any, {"response_model": Item}),
    "response model none": (lambda: Secret(name="x"), Item, {"response_model": None}),
    "include": (lambda: Item(name="x"), Item, {"response_model_include": {"name"}}),
    "include list": (lambda: Item(name="x"), Item, {"response_model_include": ["name", "price"]}),
    "exclude": (lambda: Item(name="x"), Item, {"response_model_exclude": {"price", "tags"}}),
    "exclude unset": (lambda: Item(name="x", price=1.5), Item, {"response_model_exclude_unset": True}),
    "exclude defaults": (lambda: Item(name="x", price=1.5), Item, {"response_model_exclude_defaults": True}),
    "exclude none": (lambda: Item(name="x"), Item, {"response_model_exclude_none": True}),
    "exclude unset of a list": (lambda: [{"name": "x"}], list[Item], {"response_model_exclude_unset": True}),
    "alias": (lambda: Aliased(innerName="x"), Aliased, {}),
    "no alias": (lambda: Aliased(innerName="x"), Aliased, {"response_model_by_alias": False}),
    "status": (lambda: {"a": 1}, None, {"status_code": 201}),
    "status 204": (lambda: None, None, {"status_code": 204}),
    "status 204 with value": (lambda: {"a": 1}, None, {"status_code": 204}),
    "status 304": (lambda: None, None, {"status_code": 304}),
    "status with model": (lambda: Item(name="x"), Item, {"status_code": 202}),
}


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("name", RESULTS)
def test_results_answer_as_fastapi(client: ClientFactory, name: str, sync: bool) -> None:
    """Status, headers and bytes are FastAPI's, from functions of either kind."""
    make, annotation, options = RESULTS[name]

    def build(app: Any, framework: ModuleType) -> None:
        if sync:

            def endpoint() -> Any:
                return make()

            chosen: Any = endpoint
        else:

            async def async_endpoint() -> Any:
                return make()

            chosen = async_endpoint
        if annotation is None:
            del chosen.__annotations__["return"]
        else:
            chosen.__annotations__["return"] = annotation
        app.get("/", **options)(chosen)

    ours, theirs = ours_or_theirs(build, client)
    assert_same(ours.get("/"), theirs.get("/"))


CLASSES: dict[str, tuple[str, Callable[[], Any]]] = {
    "JSONResponse": ("JSONResponse", lambda: {"a": None, "d": dt.date(2020, 1, 1)}),
    "JSONResponse nan": ("JSONResponse", lambda: {"a": float("nan")}),
    "HTMLResponse": ("HTMLResponse", lambda: "<p>"),
    "PlainTextResponse": ("PlainTextResponse", lambda: "text"),
    "RedirectResponse": ("RedirectResponse", lambda: "/else where"),
    "Response": ("Response", lambda: "text"),
    "StreamingResponse": ("StreamingResponse", lambda: ["a", "b"]),
}


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("default", [False, True], ids=["route", "application"])
@pytest.mark.parametrize("status", [None, 203])
def test_response_classes_answer_as_fastapi(
    client: ClientFactory, name: str, default: bool, status: int | None
) -> None:
    """A class of the route, or of the application."""
    kind, make = CLASSES[name]

    async def endpoint():  # type: ignore[no-untyped-def]  # a return annotation would be a response model
        return make()

    apps = []
    for framework, classes in ((velithon.Velithon, velithon.responses), (fastapi.FastAPI, fastapi.responses)):
        response_class = getattr(classes, kind)
        app: Any = framework(default_response_class=response_class) if default else framework()
        options: dict[str, Any] = {} if default else {"response_class": response_class}
        if status is not None:
            options["status_code"] = status
        app.get("/", **options)(endpoint)
        apps.append(app)
    ours = client(apps[0], raise_server_exceptions=False).get("/", follow_redirects=False)
    theirs = StarletteClient(apps[1], raise_server_exceptions=False).get("/", follow_redirects=False)
    assert_same(ours, theirs)


@pytest.mark.parametrize("response_class", [Prefixed, Own, None])
@pytest.mark.parametrize("annotation", [Item, None])
@pytest.mark.parametrize("status", [None, 201, 204])
def test_own_response_classes_answer_as_fastapi(
    client: ClientFactory, response_class: Any, annotation: Any, status: int | None
) -> None:
    """Classes of one's own, derived from ours or from Starlette's, with a model and without."""
    if annotation is Item and status == 204:
        pytest.skip("both frameworks refuse a model for an empty body")

    def build(app: Any, framework: ModuleType) -> None:
        async def endpoint():  # type: ignore[no-untyped-def]
            return Item(name="x")

        kind = response_class or framework.responses.JSONResponse
        if framework is fastapi and kind is Prefixed:
            kind = type("Prefixed", (fastapi.responses.JSONResponse,), {"media_type": Prefixed.media_type})
        app.get("/", response_class=kind, response_model=annotation, status_code=status)(endpoint)

    ours, theirs = ours_or_theirs(build, client)
    ours_answer, theirs_answer = ours.get("/"), theirs.get("/")
    assert (ours_answer.status_code, ours_answer.content) == (theirs_answer.status_code, theirs_answer.content)
    assert ours_answer.headers.get("content-type") == theirs_answer.headers.get("content-type")


@pytest.mark.parametrize("response_class", [Prefixed, Own, velithon.responses.JSONResponse, None])
@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_that_forbids_a_body_has_none(client: ClientFactory, response_class: Any, status: int) -> None:
    """Whatever the class and whatever was returned; FastAPI counts the body of a 205 that it does not send."""
    app: Any = velithon.Velithon()
    options = {} if response_class is None else {"response_class": response_class}

    async def endpoint():  # type: ignore[no-untyped-def]
        return {"a": 1}

    app.get("/", status_code=status, **options)(endpoint)
    answer = client(app).get("/")
    assert (answer.status_code, answer.content) == (status, b"")
    assert answer.headers.get("content-length") in (None, "0")


def test_a_streaming_class_may_have_any_status(client: ClientFactory) -> None:
    """There is no body to drop; what is sent is the endpoint's affair."""
    app: Any = velithon.Velithon()

    async def endpoint():  # type: ignore[no-untyped-def]
        return []

    app.get("/", status_code=204, response_class=velithon.responses.StreamingResponse)(endpoint)
    assert client(app).get("/").status_code == 204


def test_a_chosen_json_response_refuses_what_json_cannot_say(client: ClientFactory) -> None:
    """A model's NaN is null by default, and an error where JSONResponse was asked for, as in FastAPI."""

    def build(app: Any, framework: ModuleType) -> None:
        async def endpoint() -> Any:
            return Item(name="x", price=float("nan"))

        app.get("/default", response_model=Item)(endpoint)
        app.get("/chosen", response_model=Item, response_class=framework.responses.JSONResponse)(endpoint)

    ours, theirs = ours_or_theirs(build, client)
    assert_same(ours.get("/default"), theirs.get("/default"))
    assert_same(ours.get("/chosen"), theirs.get("/chosen"))


@pytest.mark.parametrize(
    "path", ["/plain", "/model", "/own", "/status", "/empty", "/returned", "/returned/own", "/default", "/cookie"]
)
def test_the_injected_response_is_merged_as_in_fastapi(client: ClientFactory, path: str) -> None:
    """Its status wins, its headers and cookies are added; a response that is returned stands alone."""

    def build(app: Any, framework: Any) -> None:
        def touch(response: Any) -> None:
            response.headers["x-one"] = "1"
            response.set_cookie("a", "b")
            response.set_cookie("c", "d")

        async def plain(response):  # type: ignore[no-untyped-def]
            touch(response)
            return {"a": 1}

        async def status(response):  # type: ignore[no-untyped-def]
            response.status_code = 202
            return {"a": 1}

        async def empty(response):  # type: ignore[no-untyped-def]
            touch(response)
            response.status_code = 204

        async def returned(response):  # type: ignore[no-untyped-def]
            touch(response)
            return framework.responses.PlainTextResponse("own", status_code=203)

        async def cookie(response):  # type: ignore[no-untyped-def]
            # A date that does not depend on when each of the two was asked.
            response.set_cookie("a", max_age=0, expires="Thu, 01 Jan 1970 00:00:00 GMT")
            return {"a": 1}

        for endpoint in (plain, status, empty, returned, cookie):
            endpoint.__annotations__["response"] = framework.Response
        app.get("/plain")(plain)
        app.get("/model", response_model=dict[str, int])(plain)
        app.get("/own", response_class=Own)(plain)
        app.get("/status", status_code=201)(status)
        app.get("/empty")(empty)
        app.get("/returned")(returned)
        app.get("/returned/own", response_class=Own)(returned)
        app.get("/default", status_code=201)(plain)
        app.get("/cookie")(cookie)

    ours, theirs = ours_or_theirs(build, client)
    assert_same(ours.get(path), theirs.get(path))


def test_the_injected_response_may_be_returned(client: ClientFactory) -> None:
    """It gets the route's status when it has none of its own."""
    app = velithon.Velithon()

    @app.get("/", status_code=201)
    async def endpoint(response: velithon.Response) -> velithon.Response:
        response.headers["x-a"] = "b"
        response.body = b"own"
        return response

    answer = client(app).get("/")
    assert (answer.status_code, answer.content, answer.headers["x-a"]) == (201, b"own", "b")


def test_background_tasks_run_with_every_kind_of_result(client: ClientFactory) -> None:
    """Injected tasks run after data, models, own classes, streams and responses without tasks of their own."""
    app = velithon.Velithon()
    ran: list[str] = []

    def add(path: str, result: Callable[[], Any], **options: Any) -> None:
        async def endpoint(tasks: velithon.BackgroundTasks) -> Any:
            tasks.add_task(ran.append, path)
            return result()

        del endpoint.__annotations__["return"]
        app.get(path, **options)(endpoint)

    add("/data", lambda: {"a": 1})
    add("/model", lambda: Item(name="x"), response_model=Item)
    add("/own", lambda: 5, response_class=Own)
    add("/response", lambda: velithon.Response("x"))

    @app.get("/stream")
    async def stream(tasks: velithon.BackgroundTasks) -> AsyncIterator[int]:
        tasks.add_task(ran.append, "/stream")
        yield 1

    own = velithon.BackgroundTasks()
    own.add_task(ran.append, "own")
    add("/busy", lambda: velithon.Response("x", background=own))
    paths = ["/data", "/model", "/own", "/response", "/stream"]
    for path in [*paths, "/busy"]:
        assert client(app).get(path).status_code == 200
    assert ran == [*paths, "/busy", "own"]  # FastAPI loses the injected one here


def test_an_invalid_result_is_the_servers_fault(client: ClientFactory) -> None:
    """500, and the error tells where the endpoint is and what it returned."""
    app = velithon.Velithon()

    @app.get("/items/{item_id}")
    async def endpoint(item_id: int) -> Item:
        return {"price": "x"}  # type: ignore[return-value]

    with pytest.raises(ResponseValidationError) as caught:
        client(app).get("/items/5")
    error = caught.value
    assert [item["loc"] for item in error.errors()] == [("response", "name"), ("response", "price")]
    assert error.body == {"price": "x"}
    assert error.endpoint_path == "GET /items/{item_id}"
    assert error.endpoint_function == "endpoint"
    assert client(app, raise_server_exceptions=False).get("/items/5").status_code == 500


def test_a_result_is_validated_once(client: ClientFactory) -> None:
    """Validators may be slow or count."""
    seen: list[Any] = []

    class Counting(BaseModel):
        value: int

        @field_validator("value")
        @classmethod
        def _count(cls, value: int) -> int:
            seen.append(value)
            if value < 0:
                raise ValueError("negative")
            return value

    app = velithon.Velithon()

    @app.get("/{value}", response_model=Counting)
    async def endpoint(value: int) -> Any:
        return {"value": value}

    requests = client(app, raise_server_exceptions=False)
    assert requests.get("/1").json() == {"value": 1}
    assert requests.get("/-1").status_code == 500
    assert seen == [1, -1]


class NoModel:
    pass


@pytest.mark.parametrize(
    ("options", "annotation", "message"),
    [
        ({"response_model": NoModel}, None, "NoModel"),
        ({}, NoModel, "response_model=None"),
        ({"status_code": 204}, Item, "Status 204"),
        ({"status_code": 304, "response_model": Item}, None, "Status 304"),
    ],
)
def test_misuse_is_told_at_registration(options: dict[str, Any], annotation: Any, message: str) -> None:
    """The error names the endpoint and the cure, before a request comes."""
    app: Any = velithon.Velithon()

    async def endpoint():  # type: ignore[no-untyped-def]
        return None

    if annotation is not None:
        endpoint.__annotations__["return"] = annotation
    with pytest.raises(RegistrationError, match=message) as caught:
        app.get("/", **options)(endpoint)
    assert "endpoint" in str(caught.value)


def test_a_model_may_be_defined_after_its_endpoint(client: ClientFactory) -> None:
    """The annotation is read when the first request comes; a name that is still unknown then is named."""
    app: Any = velithon.Velithon()
    names: dict[str, Any] = {"BaseModel": BaseModel, "app": app}
    source = """
@app.get("/later")
async def later() -> "Later":
    return {"a": "1", "b": 2}

@app.get("/never")
async def never() -> "Nowhere":
    return {}

class Later(BaseModel):
    a: int
"""
    exec(source, names)
    assert client(app).get("/later").content == b'{"a":1}'
    with pytest.raises(RegistrationError, match="'Nowhere'"):
        client(app).get("/never")


def test_a_response_class_as_annotation_is_no_model(client: ClientFactory) -> None:
    """It documents nothing and validates nothing."""

    def build(app: Any, framework: Any) -> None:
        async def endpoint() -> Any:
            return framework.responses.HTMLResponse("<p>")

        endpoint.__annotations__["return"] = framework.responses.HTMLResponse
        app.get("/")(endpoint)

    ours, theirs = ours_or_theirs(build, client)
    assert_same(ours.get("/"), theirs.get("/"))


def items() -> list[Any]:
    return [{"a": 1, "t": "ü", "n": float("nan")}, Item(name="x"), [1, {2}], "text", None]


def stream_endpoint(sync: bool, values: Callable[[], list[Any]], annotation: Any) -> Any:
    if sync:

        def endpoint() -> Iterator[Any]:
            yield from values()

        chosen: Any = endpoint
    else:

        async def async_endpoint() -> AsyncIterator[Any]:
            for value in values():
                yield value

        chosen = async_endpoint
    if annotation is None:
        del chosen.__annotations__["return"]
    else:
        chosen.__annotations__["return"] = annotation
    return chosen


STREAMS: dict[str, tuple[Callable[[], list[Any]], Any, dict[str, Any]]] = {
    "any": (items, None, {}),
    "item type": (lambda: [{"name": "x", "other": 1}, Secret(name="y")], "AsyncIterable[Item]", {}),
    "options": (lambda: [Item(name="x")], "AsyncIterator[Item]", {"response_model_exclude_unset": True}),
    "status": (lambda: [1], None, {"status_code": 202}),
    "empty": (list, None, {}),
    "generic": (lambda: [{"a": "1"}], "dict", {}),
    "bare": (lambda: [1], "AsyncIterable", {}),
}


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("kind", ["lines", "events"])
def test_generators_stream_as_in_fastapi(client: ClientFactory, name: str, sync: bool, kind: str) -> None:
    """JSON Lines by default, server-sent events where the class says so."""
    values, annotation, options = STREAMS[name]
    resolved: dict[Any, Any] = {"AsyncIterable[Item]": AsyncIterable[Item], "AsyncIterator[Item]": AsyncIterator[Item]}
    resolved["dict"] = AsyncIterator[dict[str, int]]
    resolved["AsyncIterable"] = typing.AsyncIterable  # FastAPI takes this one only

    def build(app: Any, framework: Any) -> None:
        given = dict(options)
        if kind == "events":
            given["response_class"] = framework.sse.EventSourceResponse
        app.get("/", **given)(stream_endpoint(sync, values, resolved.get(annotation)))

    ours, theirs = ours_or_theirs(build, client)
    assert_same(ours.get("/"), theirs.get("/"))


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
def test_events_stream_as_in_fastapi(client: ClientFactory, sync: bool) -> None:
    """Events keep their fields; everything else becomes data."""

    def build(app: Any, framework: Any) -> None:
        event = framework.sse.ServerSentEvent

        def values() -> list[Any]:
            return [
                event(data={"a": 1}, event="e", id="1", retry=5, comment="c\nd"),
                event(raw_data="line\nother\r\nthird"),
                event(data=Item(name="x")),
                event(data="text"),
                event(comment="only"),
                "plain",
                {"x": float("inf")},
            ]

        endpoint = stream_endpoint(sync, values, None)
        app.get("/", response_class=framework.sse.EventSourceResponse)(endpoint)

    ours, theirs = ours_or_theirs(build, client)
    assert_same(ours.get("/"), theirs.get("/"))


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
def test_chunks_stream_as_in_fastapi(client: ClientFactory, sync: bool) -> None:
    """A streaming class gets what is yielded as it is."""

    def build(app: Any, framework: Any) -> None:
        endpoint = stream_endpoint(sync, lambda: ["a", b"b", "ü"], None)
        app.get("/", response_class=framework.responses.StreamingResponse)(endpoint)

    ours, theirs = ours_or_theirs(build, client)
    assert_same(ours.get("/"), theirs.get("/"))


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
def test_a_class_that_does_not_stream_gets_the_generator(client: ClientFactory, sync: bool) -> None:
    """It may render it as it likes."""
    app: Any = velithon.Velithon()
    app.get("/", response_class=Own)(stream_endpoint(sync, list, None))
    assert b"generator" in client(app).get("/").content


class Letters:
    """What a decorator may return for a generator: it iterates and cannot be closed."""

    def __init__(self) -> None:
        self.left = iter("ab")

    def __aiter__(self) -> Letters:
        return self

    async def __anext__(self) -> str:
        for letter in self.left:
            return letter
        raise StopAsyncIteration


def test_decorated_generators_need_not_be_generators(client: ClientFactory) -> None:
    """Anything that iterates is streamed."""
    app: Any = velithon.Velithon()

    @functools.wraps(stream_endpoint(False, list, None))
    def from_async():  # type: ignore[no-untyped-def]
        return Letters()

    @functools.wraps(stream_endpoint(True, list, None))
    def from_sync():  # type: ignore[no-untyped-def]
        return ["a", "b"]

    app.get("/async")(from_async)
    app.get("/sync")(from_sync)
    for path in ("/async", "/sync"):
        assert client(app).get(path).content == b'"a"\n"b"\n'


def test_streams_take_the_injected_response(client: ClientFactory) -> None:
    """Status, headers and cookies are those of the dependency's or the endpoint's response."""

    def build(app: Any, framework: Any) -> None:
        def touch(response):  # type: ignore[no-untyped-def]
            response.status_code = 202
            response.headers["x-a"] = "b"

        touch.__annotations__["response"] = framework.Response
        app.get("/", dependencies=[framework.Depends(touch)])(stream_endpoint(False, lambda: [1], None))

    ours, theirs = ours_or_theirs(build, client)
    assert_same(ours.get("/"), theirs.get("/"))


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("kind", ["lines", "events", "chunks"])
def test_an_error_while_streaming_reaches_the_server(client: ClientFactory, sync: bool, kind: str) -> None:
    """The answer is cut off and the exception goes on; the generator and its dependencies are cleaned up, in order."""
    app = velithon.Velithon()
    log: list[str] = []

    async def dependency() -> AsyncIterator[None]:
        try:
            yield
        finally:
            log.append("dependency")

    def values() -> Iterator[Any]:
        try:
            yield "1"
            raise LookupError("gone")
        finally:
            log.append("generator")

    async def async_values() -> AsyncIterator[Any]:
        try:
            yield "1"
            raise LookupError("gone")
        finally:
            log.append("generator")

    options: dict[str, Any] = {}
    if kind == "events":
        options["response_class"] = velithon.sse.EventSourceResponse
    if kind == "chunks":
        options["response_class"] = velithon.responses.StreamingResponse
    endpoint: Any = values if sync else async_values
    app.get("/", dependencies=[velithon.Depends(dependency)], **options)(endpoint)
    with pytest.raises(LookupError, match="gone"):
        client(app).get("/")
    assert log == ["generator", "dependency"]


def test_a_stream_annotation_without_an_item_type_is_enough(client: ClientFactory) -> None:
    """The items may be anything."""
    app: Any = velithon.Velithon()
    app.get("/")(stream_endpoint(False, lambda: [{"a": Decimal("1.5")}], AsyncIterator))
    assert client(app).get("/").content == b'{"a":"1.5"}\n'


def test_an_item_that_does_not_fit_is_the_servers_fault(client: ClientFactory) -> None:
    """Items are validated one by one, and the error names the endpoint."""
    app = velithon.Velithon()

    @app.get("/")
    async def endpoint() -> AsyncIterator[Item]:
        yield Item(name="x")
        yield {"price": 1}  # type: ignore[misc]

    with pytest.raises(ResponseValidationError) as caught:
        client(app).get("/")
    assert caught.value.endpoint_path == "GET /"
    assert caught.value.body == {"price": 1}


def test_a_status_that_is_set_later_decides_on_the_body(client: ClientFactory) -> None:
    app = velithon.Velithon()

    @app.delete("/json", status_code=204, response_model=None)
    @app.delete("/text", status_code=204, response_model=None, response_class=velithon.responses.PlainTextResponse)
    async def delete(response: velithon.responses.Response, status: int | None = None) -> Any:
        if status is not None:
            response.status_code = status
        return "kept"

    with client(app) as c:
        for path, body in (("/json", '"kept"'), ("/text", "kept")):
            answers = [c.delete(path), *(c.delete(path, params={"status": status}) for status in (201, 304, 200))]
            assert [(answer.status_code, answer.text) for answer in answers] == [
                (204, ""),
                (201, body),
                (304, ""),
                (200, body),
            ]
