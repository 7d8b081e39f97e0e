"""Spans with the endpoint's arguments and validation errors, by `instrument_fastapi`."""
# /// script
# dependencies = ["logfire[fastapi]"]
#
# [[tool.ecosystem.without]]
# test = "test_arguments_and_errors_of_validation_are_seen"
# ways = ["asgi", "rsgi"]
# because = "It takes arguments and errors of validation from functions inside FastAPI, which `--as-fastapi` alone has."
# ///

import logfire
import pytest
from fastapi import FastAPI
from logfire.testing import TestExporter as Exporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.ecosystem.plugin import Clients

exporter = Exporter()
logfire.configure(
    send_to_logfire=False,
    console=False,
    additional_span_processors=[SimpleSpanProcessor(exporter)],
    inspect_arguments=False,
)
app = FastAPI()
logfire.instrument_fastapi(app, capture_headers=True)


@app.get("/items/{item}")
async def read(item: int, q: str = "none"):
    logfire.info("reading {item}", item=item)
    return item


@app.get("/fail")
def fail():
    raise ValueError("broken")


@pytest.fixture(autouse=True)
def _clean():
    exporter.clear()


def spans() -> dict[str, dict]:
    return {span["name"]: span["attributes"] for span in exporter.exported_spans_as_dict(parse_json_attributes=True)}


def test_requests_have_spans_with_their_template(client: Clients) -> None:
    assert client(app).get("/items/3", headers={"x-user": "ada"}).json() == 3
    found = spans()
    assert found["GET /items/{item}"]["http.route"] == "/items/{item}"
    assert found["reading {item}"]["item"] == 3


def test_an_exception_is_seen(client: Clients) -> None:
    assert client(app, raise_server_exceptions=False).get("/fail").status_code == 500
    events = [event for span in exporter.exported_spans_as_dict() for event in span.get("events", ())]
    assert "ValueError" in [event["attributes"]["exception.type"] for event in events]


def test_arguments_and_errors_of_validation_are_seen(client: Clients) -> None:
    assert client(app).get("/items/3?q=x").status_code == 200
    assert client(app).get("/items/x").status_code == 422
    found = exporter.exported_spans_as_dict(parse_json_attributes=True)
    values = [span["attributes"].get("fastapi.arguments.values") for span in found]
    errors = [span["attributes"].get("fastapi.arguments.errors") for span in found]
    assert {"item": 3, "q": "x"} in values
    assert any(error and error[0]["loc"] == ["path", "item"] for error in errors)
