"""What telemetry says of failures, of requests that no endpoint answers, and of what is left out."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.conftest import ClientFactory
from tests.telemetry.test_telemetry import Receiver
from velithon import Depends, Velithon, WebSocket
from velithon.responses import JSONResponse


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def test_a_handler_of_failures_may_add_to_the_span(client: ClientFactory, receiver: Receiver) -> None:
    app = Velithon(telemetry=receiver.config)

    @app.exception_handler(Exception)
    async def answer(request: Any, exc: Exception) -> JSONResponse:
        trace.get_current_span().set_attribute("told", str(exc))
        return JSONResponse({}, 503)

    @app.get("/")
    async def fail() -> None:
        raise ZeroDivisionError("why")

    assert client(app, raise_server_exceptions=False).get("/").status_code == 503
    (span,) = receiver.spans()
    attributes = dict(span.attributes or {})
    assert (attributes["told"], attributes["http.response.status_code"]) == ("why", 503)
    assert (attributes["error.type"], span.status.status_code) == ("ZeroDivisionError", StatusCode.ERROR)


def test_what_fails_after_the_response_is_told(client: ClientFactory, receiver: Receiver) -> None:
    """To observers and as a log event with its stack, once."""
    app, seen = Velithon(telemetry=receiver.config), []
    app.add_error_observer(lambda request, exc: seen.append(str(exc)))

    async def session() -> AsyncIterator[None]:
        yield
        raise ZeroDivisionError("too late")

    @app.get("/", dependencies=[Depends(session)])
    async def root() -> str:
        return "ok"

    assert client(app, raise_server_exceptions=False).get("/").json() == "ok"
    (event,) = receiver.records.get_finished_logs()
    assert event.log_record.event_name == "http.server.request.exception"
    assert "raise ZeroDivisionError" in event.log_record.attributes["exception.stacktrace"]
    assert seen == ["too late"]


@pytest.mark.parametrize("place", ["dependency", "endpoint", "result"])
def test_the_part_that_failed_is_told(client: ClientFactory, receiver: Receiver, place: str) -> None:
    app = Velithon(telemetry=receiver.config)

    async def session() -> None:
        if place == "dependency":
            raise ZeroDivisionError

    @app.get("/", dependencies=[Depends(session)], response_model=int)
    async def root() -> Any:
        if place == "endpoint":
            raise ZeroDivisionError
        return "none"

    client(app, raise_server_exceptions=False).get("/")
    parts = receiver.spans(SpanKind.INTERNAL)
    expected = {"dependency": "dependencies", "endpoint": "endpoint", "result": "serialization"}[place]
    assert [span.name for span in parts if not span.status.is_ok] == [f"velithon.{expected}"]


def test_what_is_left_out_is_left_out_in_mounts(client: ClientFactory, receiver: Receiver) -> None:
    """None of its parts has a span, whatever the application that is mounted says."""
    config: Any = {**receiver.config, "exclude": lambda scope: scope["path"] == "/in/secret"}
    app = Velithon(telemetry=config)
    inner = Velithon(telemetry=receiver.config)

    @inner.get("/{name}")
    async def read(name: str) -> str:
        return name

    app.mount("/in", inner)
    with client(app) as c:
        assert c.get("/in/secret").json() == "secret"
        assert receiver.exporter.get_finished_spans() == ()
        assert c.get("/in/open").json() == "open"
    (span,) = receiver.spans()
    assert span.name == "GET /in/{name}"


def test_a_route_has_the_root_of_the_application(client: ClientFactory, receiver: Receiver) -> None:
    """By the conventions for `http.route`; a redirection has the route that it leads to."""
    app = Velithon(telemetry=receiver.config, root_path="/proxy")

    @app.get("/items/{name}")
    async def read(name: str) -> str:
        return name

    with client(app) as c:
        assert c.get("/proxy/items/a").json() == "a"
        assert c.get("/proxy/items/a/", follow_redirects=False).status_code == 307
    assert [span.name for span in receiver.spans()] == ["GET /proxy/items/{name}"] * 2


def test_a_query_is_told_in_one_form(client: ClientFactory, receiver: Receiver) -> None:
    """A secret is one however its name is quoted."""
    app = Velithon(telemetry=receiver.config)
    client(app).get("/?%73ig=secret&q=a%20b&flag")
    (span,) = receiver.spans()
    assert (span.attributes or {})["url.query"] == "sig=REDACTED&q=a+b&flag="


def test_names_are_fastapis_where_velithon_stands_for_it(
    client: ClientFactory, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dashboards and alerts go on."""
    monkeypatch.setenv("VELITHON_AS_FASTAPI", "1")
    app = Velithon(telemetry=receiver.config)

    @app.get("/{number}")
    async def read(number: int) -> int:
        return number

    with client(app) as c:
        c.get("/7")
        c.get("/seven")
    assert {span.name.partition(".")[0] for span in receiver.spans(SpanKind.INTERNAL)} == {"fastapi"}
    (event,) = receiver.records.get_finished_logs()
    assert event.log_record.event_name == "fastapi.validation.failed"


def test_a_websocket_has_parts_too(client: ClientFactory, receiver: Receiver) -> None:
    app = Velithon(telemetry=receiver.config)

    @app.websocket("/{number}")
    async def room(websocket: WebSocket, number: int) -> None:
        await websocket.accept()
        await websocket.close()

    with client(app).websocket_connect("/7") as websocket:
        assert websocket.receive()["type"] == "websocket.close"
    assert [span.name for span in receiver.spans(SpanKind.INTERNAL)] == ["velithon.dependencies", "velithon.endpoint"]
