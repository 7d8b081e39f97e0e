"""Spans of requests and WebSockets by a layer, which continue a caller's trace."""
# /// script
# dependencies = ["opentelemetry-instrumentation-asgi", "opentelemetry-sdk"]
# ///

from fastapi import FastAPI, WebSocket
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.ecosystem.plugin import Clients

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
app = FastAPI()
app.add_middleware(OpenTelemetryMiddleware, tracer_provider=provider)


@app.get("/items/{item}")
async def read(item: int):
    return format(trace.get_current_span().get_span_context().trace_id, "032x")


@app.get("/fail")
def fail():
    raise ValueError("broken")


@app.websocket("/ws")
async def chat(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def test_a_trace_is_continued(client: Clients) -> None:
    exporter.clear()
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    assert client(app).get("/items/3", headers=headers).json() == trace_id
    spans = {span.kind: span for span in exporter.get_finished_spans()}
    server = spans[trace.SpanKind.SERVER]
    assert format(server.context.trace_id, "032x") == trace_id
    assert format(server.parent.span_id, "016x") == "b7ad6b7169203331"
    assert server.attributes["http.status_code"] == 200


def test_an_error_is_on_the_span(client: Clients) -> None:
    exporter.clear()
    assert client(app, raise_server_exceptions=False).get("/fail").status_code == 500
    span = next(span for span in exporter.get_finished_spans() if span.kind is trace.SpanKind.SERVER)
    assert span.status.status_code is trace.StatusCode.ERROR


def test_a_websocket_has_spans(client: Clients) -> None:
    exporter.clear()
    with client(app).websocket_connect("/ws") as websocket:
        assert websocket.receive_text() == "hello"
    assert {span.kind for span in exporter.get_finished_spans()} >= {trace.SpanKind.SERVER}
