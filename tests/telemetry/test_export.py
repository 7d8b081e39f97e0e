"""Spans of real servers at a receiver of OTLP, beside those that OpenTelemetry's instrumentation makes of FastAPI."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.servers import ServerName, serve
from tests.services.http import posted_to

pytestmark = pytest.mark.server

ROUTES = """
@app.get("/items/{item_id}")
async def item(item_id: int):
    return {"id": item_id}

@app.get("/error")
async def error():
    raise ZeroDivisionError("why")
"""

VELITHON = f"""
from velithon import Velithon

app = Velithon(telemetry={{"auto_configure": True, "operation_spans": False}})
{ROUTES}
"""

FASTAPI = f"""
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
app = FastAPI(telemetry={{"tracing": False, "metrics": False, "logs": False}})
{ROUTES}
FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])
"""

TRACE = "0af7651916cd43dd8448eb211c80319c"


@contextmanager
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """Run a receiver of OTLP over HTTP; yield its URL and the spans that came."""
    spans: list[Any] = []

    def take(path: str, body: bytes) -> bytes:
        if path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            spans.extend(span for r in request.resource_spans for s in r.scope_spans for span in s.spans)
        return b""

    with posted_to(take) as port:
        yield f"http://127.0.0.1:{port}", spans


def exported(source: str, server: ServerName, *, direct: bool = False) -> dict[str, Any]:
    """Return the server spans of one good request and one that fails, by name."""
    with receiver() as (url, spans):
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_METRICS_EXPORTER": "none",
        }
        with serve(source, server, env=env, direct=direct) as running:
            headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
            httpx.get(f"{running.url}/items/7?q=1", headers=headers)
            httpx.get(f"{running.url}/error", headers=headers)
        deadline = time.monotonic() + 10
        while len(spans) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        return {span.name: span for span in spans}


def attributes(span: Any) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    return exported(FASTAPI, "uvicorn", direct=True)


@pytest.mark.parametrize("server", ["granian-rsgi", "uvicorn"])
def test_spans_are_those_of_the_instrumentation(server: ServerName, theirs: dict[str, Any]) -> None:
    ours = exported(VELITHON, server)
    assert ours.keys() == theirs.keys() == {"GET /items/{item_id}", "GET /error"}
    for name, span in ours.items():
        their = theirs[name]
        assert span.trace_id == their.trace_id == bytes.fromhex(TRACE)
        assert (span.kind, span.parent_span_id) == (their.kind, their.parent_span_id)
        assert (span.status.code, [event.name for event in span.events]) == (
            their.status.code,
            [event.name for event in their.events],
        )
        found, expected = attributes(span), attributes(their)
        for left_out in ("url.full", "client.port"):
            # Neither is asked of servers by the conventions.
            expected.pop(left_out, None)
        assert expected.keys() <= found.keys()
        if "error.type" in expected:
            # FastAPI's own telemetry names the exception as well.
            assert (found["error.type"], expected["error.type"]) == ("ZeroDivisionError", "500")
        # The servers have ports of their own, which theirs has in the address, too.
        assert found["server.address"] == "127.0.0.1"
        same = expected.keys() - {"server.port", "server.address", "error.type"}
        assert {key: found[key] for key in same} == {key: expected[key] for key in same}
