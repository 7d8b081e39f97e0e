"""A provider that the lifespan sets, which every application of the process has from then on."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from contextlib import asynccontextmanager

from velithon import Velithon
from velithon.testclient import TestClient

made = []


@asynccontextmanager
async def lifespan(app):
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    app.state.exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(app.state.exporter))
    trace.set_tracer_provider(provider)
    yield


app = Velithon(lifespan=lifespan)


@app.get("/items/{number}")
async def read(number: int):
    return number


with TestClient(app, protocol=sys.argv[1]) as client:
    assert client.get("/items/7").json() == 7
    print([span.name for span in app.state.exporter.get_finished_spans()][-1])
"""


@pytest.mark.parametrize("protocol", ["asgi", "rsgi"])
def test_a_provider_that_the_lifespan_sets_counts(protocol: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, protocol], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "GET /items/{number}", done.stderr
