"""What `get_telemetry_data` gives to processors, endpoints and background tasks, and when it forgets it."""

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2 as httpx
import pytest
from opentelemetry import context
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import SpanProcessor
from pydantic import BaseModel

from tests.conftest import ClientFactory
from tests.servers import serve
from tests.telemetry.test_telemetry import Receiver
from velithon import BackgroundTasks, Depends, Form, Request, Velithon, WebSocket, WebSocketDisconnect
from velithon.background import BackgroundTask
from velithon.responses import StreamingResponse
from velithon.signature import compile_http, explain, read_endpoint
from velithon.telemetry import Telemetry, TelemetryData, get_telemetry_data


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


class Item(BaseModel):
    name: str
    token: str = "none"


def data() -> TelemetryData:
    found = get_telemetry_data()
    assert found is not None
    return found


def test_an_endpoint_finds_what_it_was_given(client: ClientFactory, receiver: Receiver) -> None:
    app, seen = Velithon(telemetry=receiver.config), list[Any]()

    def first(request: Request) -> str:
        seen.append((data().request is request, data().values, data().body))
        return "first"

    @app.post("/items/{number}")
    async def create(number: int, item: Item, request: Request, value: Annotated[str, Depends(first)]) -> None:
        seen.append(data().values == {"number": number, "item": item, "request": request, "value": value})
        seen.append(data().errors)

    assert client(app).post("/items/7", json={"name": "a"}).status_code == 200
    assert seen == [(True, None, {"name": "a"}), True, []]
    assert get_telemetry_data() is None


def test_a_body_that_is_validated_from_its_bytes_is_shown_parsed(client: ClientFactory, receiver: Receiver) -> None:
    """Also where tracing is off: logs and metrics have it too."""
    config: Any = {**receiver.config, "tracing": False}
    app, seen = Velithon(telemetry=config), list[Any]()

    @app.post("/")
    async def create(item: Item) -> None:
        seen.append((data().body, data().values))

    @app.post("/form")
    async def fill(name: Annotated[str, Form()]) -> None:
        seen.append(dict(data().body))

    http = client(app)
    http.post("/", json={"name": "a", "more": 1})
    http.post("/form", data={"name": "b"})
    assert seen == [({"name": "a", "more": 1}, {"item": Item(name="a")}), {"name": "b"}]


@pytest.mark.parametrize(("body", "kind"), [("{", "json_invalid"), ('{"name": 1}', "string_type")])
def test_a_log_processor_finds_what_was_refused(
    client: ClientFactory, receiver: Receiver, body: str, kind: str
) -> None:
    seen: list[Any] = []

    class Refusals(LogRecordProcessor):
        def on_emit(self, log_record: Any) -> None:
            found = get_telemetry_data(log_record.log_record.context)
            assert found is not None
            assert found.errors is not None
            assert found.request is not None
            seen.append((found.request.url.path, found.body, found.errors[0]["type"], found.values))

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    receiver.logger_provider.add_log_record_processor(Refusals())
    app = Velithon(telemetry=receiver.config)

    @app.post("/items")
    async def create(item: Item) -> None: ...

    answer = client(app).post("/items", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert seen == [("/items", "{" if body == "{" else {"name": 1}, kind, None)]


def test_a_span_processor_finds_the_arguments(client: ClientFactory, receiver: Receiver) -> None:
    class Arguments(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if span.name == "velithon.endpoint":
                found = get_telemetry_data(parent_context)
                assert found is not None
                assert found.values is not None
                span.set_attribute("app.number", found.values["number"])

    receiver.tracer_provider.add_span_processor(Arguments())
    app = Velithon(telemetry=receiver.config)

    @app.get("/{number}")
    def read(number: int) -> int:
        return number

    client(app).get("/7")
    (span,) = [span for span in receiver.exporter.get_finished_spans() if span.name == "velithon.endpoint"]
    assert (span.attributes or {})["app.number"] == 7


def test_a_websocket_has_its_own(client: ClientFactory, receiver: Receiver) -> None:
    app, seen = Velithon(telemetry=receiver.config), list[Any]()

    @app.websocket("/{room}")
    async def join(websocket: WebSocket, room: str) -> None:
        seen.append((data().websocket is websocket, data().request, data().values, context.get_current()))
        await websocket.accept()
        await websocket.close()

    with client(app).websocket_connect("/a") as websocket:
        websocket.receive()
    ((same, request, values, kept),) = seen
    assert (same, request, values["room"]) == (True, None, "a")
    assert get_telemetry_data(kept) is None


@pytest.mark.parametrize("path", ["/plain", "/stream", "/background", "/dependency", "/fail"])
def test_it_lives_as_long_as_the_request(client: ClientFactory, receiver: Receiver, path: str) -> None:
    """Streams, background tasks, exits of dependencies and handlers of failures have it; a kept context has not."""
    app, kept = Velithon(telemetry=receiver.config), list[Any]()

    def keep() -> None:
        kept.append((data().request is not None, context.get_current()))

    async def session() -> AsyncIterator[None]:
        yield
        keep()

    @app.exception_handler(ZeroDivisionError)
    async def answer(request: Request, exc: Exception) -> Any:
        raise exc

    @app.exception_handler(500)
    async def failed(request: Request, exc: Exception) -> Any:
        keep()
        return StreamingResponse(iter([b"failed"]), 500)

    @app.get("/plain")
    async def plain() -> None:
        keep()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            keep()

        return StreamingResponse(chunks())

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> None:
        tasks.add_task(keep)

    @app.get("/dependency", dependencies=[Depends(session)])
    async def dependency() -> None: ...

    @app.get("/fail")
    async def fail() -> None:
        raise ZeroDivisionError

    with client(app, raise_server_exceptions=False) as http:
        http.get(path)
    ((has_request, context_kept),) = kept
    assert has_request
    assert get_telemetry_data(context_kept) is None


def test_what_is_excluded_has_none(client: ClientFactory, receiver: Receiver) -> None:
    config: Any = {**receiver.config, "exclude": lambda scope: True}
    app, seen = Velithon(telemetry=config), list[Any]()

    @app.get("/")
    async def root() -> None:
        seen.append(get_telemetry_data())

    client(app).get("/")
    assert seen == [None]


def test_its_repr_shows_no_secret() -> None:
    """Logs and error reports print what stands around."""
    shown = repr(TelemetryData(body={"name": "a", "password": "hunter2"}, values={"token": "abc", "page": 3}))
    assert "hunter2" not in shown
    assert "abc" not in shown
    assert "'name': 'a'" in shown
    assert "'page': 3" in shown


def test_plans_note_nothing_where_nobody_traces() -> None:
    """An application that is not traced runs the same plan as ever, and nobody asked has nothing noted."""

    def read(number: int) -> int:
        return number

    assert "note" not in explain(compile_http(read_endpoint(read, path="/{number}")))
    telemetry = Telemetry({})
    telemetry.active = True
    assert "note.values" in explain(compile_http(telemetry.trace_model(read_endpoint(read, path="/{number}"))))
    program = "import velithon.telemetry.tracer as t, velithon.telemetry; assert t.Traced.make_data is None"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_websocket_that_ends_in_order_is_no_failure(client: ClientFactory, receiver: Receiver) -> None:
    app = Velithon(telemetry=receiver.config)

    @app.websocket("/")
    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    with pytest.raises(WebSocketDisconnect), client(app).websocket_connect("/") as websocket:
        websocket.close(1000)
    assert [span.status.is_ok or span.status.is_unset for span in receiver.exporter.get_finished_spans()] == [True] * 3
    assert receiver.records.get_finished_logs() == ()


def test_tasks_of_a_class_and_tasks_that_tasks_add_have_spans(client: ClientFactory, receiver: Receiver) -> None:
    app = Velithon(telemetry=receiver.config)

    class Careful(BackgroundTask):
        async def __call__(self) -> None:
            data()
            await super().__call__()

    def last() -> None: ...

    @app.get("/")
    async def root(tasks: BackgroundTasks) -> None:
        tasks.tasks.append(Careful(tasks.add_task, last))

    client(app).get("/")
    spans = [span for span in receiver.exporter.get_finished_spans() if span.name == "velithon.background_task"]
    assert [str((span.attributes or {})["code.function.name"]).rpartition(".")[2] for span in spans] == [
        "add_task",
        "last",
    ]


SOURCE = """
from opentelemetry import context
from opentelemetry.sdk.trace import TracerProvider

from velithon import Body, Velithon
from velithon.telemetry import get_telemetry_data

app = Velithon(telemetry={"tracer_provider": TracerProvider()})
kept = []


@app.post("/items/{number}")
async def create(number: int, names: list[str] = Body()):
    data = get_telemetry_data()
    kept.append(context.get_current())
    return [data.request.url.path, data.body, data.values]


@app.get("/kept")
async def read_kept():
    return [get_telemetry_data(context) for context in kept]
"""


@pytest.mark.server
def test_granian_forgets_a_request_that_is_over() -> None:
    with serve(SOURCE, "granian-rsgi") as server:
        answer = httpx.post(f"{server.url}/items/7", json=["a"])
        assert answer.json() == ["/items/7", ["a"], {"number": 7, "names": ["a"]}]
        assert httpx.get(f"{server.url}/kept").json() == [None]
