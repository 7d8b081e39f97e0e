"""Spans, measurements and log events, as OpenTelemetry's SDK sees them."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware as StarlettesOpenTelemetry

from tests.conftest import ClientFactory
from velithon import BackgroundTasks, Velithon, WebSocket
from velithon.responses import StreamingResponse
from velithon.telemetry import get_trace_id

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Receiver:
    """Providers that keep what they are given."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader])
        self.records: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # it is not annotated
        self.logger_provider = LoggerProvider()
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self.records))

    @property
    def config(self) -> Any:
        return {
            "tracer_provider": self.tracer_provider,
            "meter_provider": self.meter_provider,
            "logger_provider": self.logger_provider,
        }

    def spans(self, kind: SpanKind = SpanKind.SERVER) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.kind is kind]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture(autouse=True)
def record_factory() -> Iterator[None]:
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


def application(config: Any, seen: Callable[[Any], object] = lambda value: None) -> Velithon:
    app = Velithon(telemetry=config)

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> Any:
        seen(get_trace_id())
        return {"id": item_id}

    @app.get("/error")
    async def error() -> None:
        raise ZeroDivisionError("why")

    @app.get("/stream")
    async def stream() -> Any:
        async def chunks() -> Any:
            yield b"one"
            seen(get_trace_id())
            yield b"two"

        return StreamingResponse(chunks())

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> None:
        carrier: dict[str, str] = {}

        async def send_on() -> None:
            propagate.inject(carrier)
            seen(carrier)

        tasks.add_task(send_on)

    @app.websocket("/rooms/{room}")
    async def room(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        await websocket.send_text(str(get_trace_id()))
        await websocket.close()

    inner = Velithon(telemetry=config)

    @inner.get("/users/{name}")
    async def user(name: str) -> Any:
        return name

    app.mount("/tenants/{tenant}", inner)
    return app


def test_a_request_has_one_span_by_the_conventions(client: ClientFactory, receiver: Receiver) -> None:
    seen: list[Any] = []
    http = client(application(receiver.config, seen.append))
    headers = {"traceparent": PARENT, "user-agent": "test", "host": "shop.example:8080"}
    http.get("/items/7?sig=secret&q=1", headers=headers)
    (span,) = receiver.spans()
    assert span.name == "GET /items/{item_id}"
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{item_id}",
        "url.scheme": "http",
        "url.path": "/items/7",
        "url.query": "sig=REDACTED&q=1",
        "network.protocol.version": "1.1",
        "server.address": "shop.example",
        "server.port": 8080,
        "client.address": "testclient",
        "user_agent.original": "test",
    }
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == TRACE
    assert seen == [TRACE]
    dependencies, endpoint, serialization = receiver.spans(SpanKind.INTERNAL)
    assert [dependencies.name, endpoint.name, serialization.name] == [
        "velithon.dependencies",
        "velithon.endpoint",
        "velithon.serialization",
    ]
    assert str((endpoint.attributes or {})["code.function.name"]).endswith("application.<locals>.item")
    assert endpoint.parent is not None
    assert endpoint.parent.span_id == span.context.span_id
    assert not trace.get_current_span().get_span_context().is_valid, "the caller's context was changed"


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("GET", "/nowhere/7", "GET", 404),
        ("POST", "/items/7", "POST /items/{item_id}", 405),
        ("GET", "/items/seven", "GET /items/{item_id}", 422),
        ("BREW", "/items/7", "HTTP /items/{item_id}", 405),
        ("GET", "/tenants/acme/users/ann", "GET /tenants/{tenant}/users/{name}", 200),
        ("GET", "/stream", "GET /stream", 200),
    ],
)
def test_spans_are_named_by_method_and_template(
    client: ClientFactory, receiver: Receiver, method: str, path: str, name: str, status: int
) -> None:
    client(application(receiver.config)).request(method, path)
    (span,) = receiver.spans()
    assert (span.name, (span.attributes or {})["http.response.status_code"]) == (name, status)
    assert span.status.status_code is StatusCode.UNSET


def test_an_exception_is_on_the_span_and_in_the_log(client: ClientFactory, receiver: Receiver) -> None:
    client(application(receiver.config), raise_server_exceptions=False).get("/error")
    (span,) = receiver.spans()
    attributes = span.attributes or {}
    assert (attributes["http.response.status_code"], attributes["error.type"]) == (500, "ZeroDivisionError")
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]
    (event,) = receiver.records.get_finished_logs()
    record = event.log_record
    assert record.event_name == "http.server.request.exception"
    assert (record.attributes or {})["http.route"] == "/error"
    assert record.trace_id == span.context.trace_id


def test_refused_input_is_a_log_event(client: ClientFactory, receiver: Receiver) -> None:
    client(application(receiver.config)).get("/items/seven")
    (event,) = receiver.records.get_finished_logs()
    assert event.log_record.event_name == "velithon.validation.failed"
    assert (event.log_record.attributes or {})["velithon.validation.error_count"] == 1


def test_streams_and_background_tasks_are_in_the_trace(client: ClientFactory, receiver: Receiver) -> None:
    seen: list[Any] = []
    http = client(application(receiver.config, seen.append))
    http.get("/stream", headers={"traceparent": PARENT})
    http.get("/background", headers={"traceparent": PARENT})
    assert seen[0] == TRACE
    assert str(seen[1]["traceparent"]).startswith(f"00-{TRACE}-")
    tasks = [span for span in receiver.spans(SpanKind.INTERNAL) if span.name == "velithon.background_task"]
    assert len(tasks) == 1
    assert tasks[0].context.trace_id == int(TRACE, 16)
    assert str(seen[1]["traceparent"]).split("-")[2] == f"{tasks[0].context.span_id:016x}"


def test_a_websocket_has_one_span(client: ClientFactory, receiver: Receiver) -> None:
    http = client(application(receiver.config))
    with http.websocket_connect("/rooms/a", headers={"traceparent": PARENT}) as websocket:
        assert websocket.receive_text() == TRACE
    (span,) = receiver.spans()
    assert span.name == "WS /rooms/{room}"
    attributes = dict(span.attributes or {})
    assert attributes["network.protocol.name"] == "websocket"
    assert attributes["http.route"] == "/rooms/{room}"


def test_requests_are_measured(client: ClientFactory, receiver: Receiver) -> None:
    http = client(application(receiver.config))
    http.get("/items/7")
    http.get("/items/8")
    (point,) = receiver.points("http.server.request.duration")
    assert point.count == 2
    assert dict(point.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{item_id}",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
    }
    assert [point.value for point in receiver.points("http.server.active_requests")] == [0]


def test_signals_and_requests_can_be_left_out(client: ClientFactory, receiver: Receiver) -> None:
    config = {
        **receiver.config,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
        "exclude": lambda scope: scope["path"] == "/items/7",
    }
    http = client(application(config), raise_server_exceptions=False)
    for path in ("/items/7", "/items/8", "/error"):
        http.get(path)
    assert [span.name for span in receiver.exporter.get_finished_spans()] == ["GET /items/{item_id}", "GET /error"]
    assert receiver.records.get_finished_logs() == ()
    client(application({**receiver.config, "tracing": False})).get("/items/1")
    assert len(receiver.spans()) == 2


@pytest.mark.parametrize("outside", ["", "around", "Starlette's"])
def test_the_instrumentation_of_opentelemetry_makes_no_second_span(
    client: ClientFactory, receiver: Receiver, outside: str
) -> None:
    app = application(receiver.config)
    wrapped: Any = app
    if outside == "Starlette's":
        app.add_middleware(StarlettesOpenTelemetry, tracer_provider=receiver.tracer_provider)
    elif outside:
        inner = OpenTelemetryMiddleware(app, tracer_provider=receiver.tracer_provider)
        wrapped = Velithon(telemetry={"tracing": False, "metrics": False, "logs": False})
        wrapped.mount("/", inner)
    else:
        app.add_middleware(OpenTelemetryMiddleware, tracer_provider=receiver.tracer_provider)
    client(wrapped).get("/items/7")
    assert len(receiver.spans()) == 1


def test_a_call_within_a_request_is_a_request_of_its_own(client: ClientFactory, receiver: Receiver) -> None:
    other = application(receiver.config)
    app = Velithon(telemetry=receiver.config)

    @app.get("/")
    async def root() -> Any:
        import httpx2

        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(other), base_url="http://inside") as http:
            return (await http.get("/items/7")).json()

    assert client(app).get("/").json() == {"id": 7}
    assert [span.name for span in receiver.spans()] == ["GET /items/{item_id}", "GET /"]


def test_what_is_not_sampled_is_passed_on(client: ClientFactory, receiver: Receiver) -> None:
    seen: list[Any] = []
    config = {**receiver.config, "tracer_provider": TracerProvider(sampler=ALWAYS_OFF)}
    client(application(config, seen.append)).get("/background", headers={"traceparent": PARENT})
    assert receiver.spans() == []
    assert str(seen[0]["traceparent"]).startswith(f"00-{TRACE}-")
    assert str(seen[0]["traceparent"]).endswith("-00")


def test_baggage_comes_in(client: ClientFactory, receiver: Receiver) -> None:
    app = Velithon(telemetry=receiver.config)

    @app.get("/")
    async def root() -> Any:
        return dict(baggage.get_all())

    assert client(app).get("/", headers={"baggage": "user=ann,plan=free"}).json() == {"user": "ann", "plan": "free"}


def test_log_lines_have_the_trace(client: ClientFactory, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    app = Velithon(telemetry=receiver.config)

    @app.get("/")
    async def root() -> None:
        logging.getLogger("shop").warning("sold")

    client(app).get("/", headers={"traceparent": PARENT})
    (record,) = [record for record in caplog.records if record.name == "shop"]
    assert record.trace_id == TRACE  # type: ignore[attr-defined]
    assert len(record.span_id) == 16  # type: ignore[attr-defined]


def test_without_a_provider_nothing_is_done(client: ClientFactory) -> None:
    app = Velithon()
    app.get("/")(get_trace_id)
    assert client(app).get("/").json() is None
    assert app._telemetry is None
    assert app._outermost is None, "a layer was added"


@pytest.mark.parametrize(
    ("config", "message"),
    [({"tracer": None}, "telemetry= has no setting 'tracer'; there are auto_configure"), (True, "takes a dictionary")],
)
def test_what_does_not_exist_is_an_error(config: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Velithon(telemetry=config)
