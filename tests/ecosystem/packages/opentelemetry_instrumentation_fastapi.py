"""Spans with route templates, headers, and exceptions, by `instrument_app`."""
# /// script
# dependencies = ["opentelemetry-instrumentation-fastapi", "opentelemetry-sdk"]
# ///

import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.ecosystem.plugin import Clients

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
app = FastAPI()
router = APIRouter(prefix="/items")


@router.get("/{item}")
async def read(item: int):
    return item


@app.get("/fail/{item}")
def fail(item: int):
    raise ValueError("broken")


@app.get("/refuse")
def refuse():
    raise HTTPException(404)


@app.get("/health")
def health():
    return "well"


app.include_router(router)
FastAPIInstrumentor.instrument_app(
    app, tracer_provider=provider, excluded_urls="health", http_capture_headers_server_request=["x-user"]
)


@pytest.fixture(autouse=True)
def _clean():
    exporter.clear()


def server_span():
    return next(span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER)


def test_a_span_has_the_template_and_headers(client: Clients) -> None:
    assert client(app).get("/items/3", headers={"x-user": "ada"}).json() == 3
    span = server_span()
    assert span.name == "GET /items/{item}"
    assert span.attributes["http.route"] == "/items/{item}"
    assert span.attributes["http.request.header.x_user"] == ("ada",)


def test_an_exception_is_on_the_span(client: Clients) -> None:
    assert client(app, raise_server_exceptions=False).get("/fail/3").status_code == 500
    span = server_span()
    assert span.attributes["http.route"] == "/fail/{item}"
    assert span.status.status_code is StatusCode.ERROR
    assert any(event.name == "exception" for item in exporter.get_finished_spans() for event in item.events)


def test_a_refusal_is_none(client: Clients) -> None:
    assert client(app).get("/refuse").status_code == 404
    assert server_span().status.status_code is StatusCode.UNSET


def test_some_paths_are_left_out(client: Clients) -> None:
    assert client(app).get("/health").json() == "well"
    assert exporter.get_finished_spans() == ()
