"""Spans with route templates, by instrumenting one application or all."""
# /// script
# dependencies = ["opentelemetry-instrumentation-starlette", "opentelemetry-sdk"]
# ///

import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette

from tests.ecosystem.plugin import Clients

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item}")
    async def read(item: int):
        return item

    return app


@pytest.fixture(autouse=True)
def _clean():
    exporter.clear()


def test_one_application_is_instrumented(client: Clients) -> None:
    app = shop()
    StarletteInstrumentor.instrument_app(app, tracer_provider=provider)
    assert client(app).get("/items/3").json() == 3
    span = next(span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER)
    assert span.attributes["http.route"] == "/items/{item}"
    assert span.name == "GET /items/{item}"
    StarletteInstrumentor.uninstrument_app(app)


def test_applications_of_starlette_within_are_instrumented(client: Clients) -> None:
    StarletteInstrumentor().instrument(tracer_provider=provider)
    from starlette import applications

    inner = applications.Starlette()
    assert isinstance(inner, Starlette)
    inner.add_route("/hello", hello)
    app = shop()
    app.mount("/inner", inner)
    assert client(app).get("/inner/hello").text == "hello"
    assert any(span.kind is SpanKind.SERVER for span in exporter.get_finished_spans())
    StarletteInstrumentor().uninstrument()


async def hello(request):
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("hello")
