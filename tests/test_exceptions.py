"""The exceptions, and what their default handlers answer, beside FastAPI's."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import fastapi
import fastapi.exceptions
import orjson
import pytest
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.exceptions import WebSocketException as StarletteWebSocketException
from starlette.testclient import TestClient as StarletteClient

from tests.conftest import ClientFactory
from velithon import Velithon, WebSocket, exceptions
from velithon.exception_handlers import is_body_allowed_for_status_code, problem_handlers
from velithon.exceptions import (
    EndpointContext,
    HTTPException,
    RegistrationError,
    RequestValidationError,
    ResponseValidationError,
    VelithonError,
    WebSocketException,
    WebSocketRequestValidationError,
)
from velithon.websocket import WebSocketDisconnect

CONTEXT = EndpointContext(file="app.py", line=3, function="read", path="GET /items")


def test_fastapis_names_are_here() -> None:
    """A module that imports from ``fastapi.exceptions`` needs no other change than the first word."""
    theirs = {name for name in vars(fastapi.exceptions) if name.endswith(("Error", "Exception", "Warning"))}
    assert {name for name in theirs if not name.startswith("Starlette")} <= set(exceptions.__all__)
    assert exceptions.FastAPIError is VelithonError


def test_http_exception_takes_anything_as_detail() -> None:
    """Status and detail by position, any JSON, and the status's phrase by default."""
    error = HTTPException(400, {"code": [1]}, {"x-a": "b"})
    assert isinstance(error, StarletteHTTPException)
    assert (error.status_code, error.detail, error.headers) == (400, {"code": [1]}, {"x-a": "b"})
    assert HTTPException(404).detail == "Not Found"
    assert HTTPException(status_code=400, detail="text").detail == "text"
    assert isinstance(WebSocketException(1008, "no"), StarletteWebSocketException)


@pytest.mark.parametrize("context", [None, CONTEXT, EndpointContext(path="GET /items"), EndpointContext(file="a")])
@pytest.mark.parametrize("errors", [[], [{"type": "x"}], [{"type": "x"}, {"type": "y"}]])
def test_validation_errors_read_as_fastapis(context: Any, errors: list[Any]) -> None:
    """Message and attributes are the same, and so is what they carry."""
    for name in ("RequestValidationError", "WebSocketRequestValidationError", "ResponseValidationError"):
        ours = getattr(exceptions, name)(errors, endpoint_ctx=context)
        theirs = getattr(fastapi.exceptions, name)(errors, endpoint_ctx=context)
        assert str(ours) == str(theirs)
        assert ours.errors() == errors
        for attribute in ("endpoint_function", "endpoint_path", "endpoint_file", "endpoint_line", "endpoint_ctx"):
            assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert RequestValidationError([], body={"a": 1}).body == {"a": 1}
    assert ResponseValidationError([], body=5).body == 5


def test_validation_errors_survive_pickling() -> None:
    """Process pools and task queues hand exceptions on."""
    error = pickle.loads(pickle.dumps(RequestValidationError([{"type": "x"}])))
    assert error.errors() == [{"type": "x"}]


class Callme:
    def __repr__(self) -> str:
        return "<Callme>"


@pytest.mark.parametrize(
    ("endpoint", "parameter", "message"),
    [
        (None, None, "is wrong."),
        ("GET /items", None, "GET /items: is wrong."),
        (test_fastapis_names_are_here, "q", f"{__name__}.test_fastapis_names_are_here, parameter 'q': is wrong."),
        (Callme(), None, "<Callme>: is wrong."),
        (None, "q", "parameter 'q': is wrong."),
    ],
)
def test_registration_errors_say_where(endpoint: Any, parameter: str | None, message: str) -> None:
    """The message starts with the endpoint and the parameter."""
    error = RegistrationError("is wrong", endpoint=endpoint, parameter=parameter)
    assert str(error) == message
    assert (error.problem, error.endpoint, error.parameter) == ("is wrong", endpoint, parameter)


@pytest.mark.parametrize(
    ("status", "allowed"),
    [(None, True), ("default", True), ("2XX", True), ("204", False), (200, True), (204, False), (205, False)]
    + [(304, False), (101, False), ("404", True)],
)
def test_which_statuses_have_a_body(status: int | str | None, allowed: bool) -> None:
    """Statuses as numbers, and the keys of OpenAPI's responses."""
    assert is_body_allowed_for_status_code(status) is allowed


def build(framework: Any, error: Callable[[], Exception]) -> Any:
    """Make the same application with either framework."""
    app = framework()

    async def raising() -> None:
        raise error()

    async def read(item_id: int, limit: int) -> None: ...

    app.get("/raise")(raising)
    app.get("/items/{item_id}")(read)
    return app


CASES: list[tuple[int, Any, dict[str, str] | None]] = [
    (400, "text", None),
    (418, None, None),
    (409, {"code": "x", "values": [1, None]}, {"x-kind": "a"}),
    (422, ["a", "b"], None),
    (401, "who", {"WWW-Authenticate": "Bearer"}),
    (204, "dropped", {"x-a": "b"}),
    (304, None, None),
    (500, "ü", None),
]


@pytest.mark.parametrize(("status", "detail", "headers"), CASES)
def test_http_exceptions_answer_as_fastapi(
    client: ClientFactory, status: int, detail: Any, headers: dict[str, str] | None
) -> None:
    """Status, body and headers are the same."""
    ours = client(build(Velithon, lambda: HTTPException(status, detail, headers))).get("/raise")
    theirs = StarletteClient(build(fastapi.FastAPI, lambda: fastapi.HTTPException(status, detail, headers))).get(
        "/raise"
    )
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    for name in ("content-type", "x-kind", "x-a", "www-authenticate"):
        assert ours.headers.get(name) == theirs.headers.get(name)


def test_invalid_requests_answer_as_fastapi(client: ClientFactory) -> None:
    """422 with every error of the request."""
    ours = client(build(Velithon, Exception)).get("/items/x")
    theirs = StarletteClient(build(fastapi.FastAPI, Exception)).get("/items/x")
    assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())
    assert ours.status_code == 422


def problem_app(error: Callable[[], Exception]) -> Any:
    app = build(Velithon, error)
    for kind, handler in problem_handlers().items():
        app.add_exception_handler(kind, handler)
    return app


@pytest.mark.parametrize(
    ("error", "members"),
    [
        (HTTPException(404), {"title": "Not Found", "status": 404}),
        (HTTPException(404, "No such item"), {"title": "Not Found", "status": 404, "detail": "No such item"}),
        (HTTPException(400, ["a"]), {"title": "Bad Request", "status": 400, "errors": ["a"]}),
        (
            HTTPException(403, {"type": "/problems/credit", "title": "No credit", "balance": 30}),
            {"type": "/problems/credit", "title": "No credit", "status": 403, "balance": 30},
        ),
        (HTTPException(599, "strange"), {"title": "Error", "status": 599, "detail": "strange"}),
    ],
)
def test_http_exceptions_as_problem_documents(
    client: ClientFactory, error: HTTPException, members: dict[str, Any]
) -> None:
    """RFC 9457: the members, the media type, extensions from a mapping."""
    response = client(problem_app(lambda: error)).get("/raise")
    assert response.status_code == error.status_code
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {"type": "about:blank", "instance": "/raise", **members}


def test_problem_documents_keep_headers_and_empty_bodies(client: ClientFactory) -> None:
    """A challenge is sent along; a status that forbids a body has none."""
    response = client(problem_app(lambda: HTTPException(401, "who", {"WWW-Authenticate": "Basic"}))).get("/raise")
    assert response.headers["www-authenticate"] == "Basic"
    empty = client(problem_app(lambda: HTTPException(304))).get("/raise")
    assert (empty.status_code, empty.content) == (304, b"")


def test_invalid_requests_as_problem_documents(client: ClientFactory) -> None:
    """The errors are listed in the document."""
    response = client(problem_app(Exception)).get("/items/x?limit=3")
    assert response.status_code == 422
    document = response.json()
    assert document["detail"] == "1 validation error"
    assert document["instance"] == "/items/x"
    assert [error["loc"] for error in document["errors"]] == [["path", "item_id"]]
    assert client(problem_app(Exception)).get("/items/x").json()["detail"] == "2 validation errors"


def test_server_errors_as_problem_documents(client: ClientFactory) -> None:
    """500 tells nothing about the exception, which goes on to the server."""
    app = problem_app(lambda: RuntimeError("secret"))
    response = client(app, raise_server_exceptions=False).get("/raise")
    assert response.status_code == 500
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "instance": "/raise",
    }
    with pytest.raises(RuntimeError, match="secret"):
        client(app).get("/raise")


WEBSOCKET_ERRORS = [{"type": "missing", "loc": ("query", "q" * 200), "msg": "Field required"}]


def websocket_app(accept: bool) -> Velithon:
    app = Velithon()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        if accept:
            await websocket.accept()
        raise WebSocketRequestValidationError(
            [{"type": "missing", "loc": ("query", "q" * 200), "msg": "Field required"}]
        )

    return app


def test_a_handshake_that_does_not_fit_is_refused() -> None:
    """The reason is the list of errors, as FastAPI has it."""
    from velithon.testclient import TestClient

    with (
        pytest.raises(WebSocketDisconnect) as caught,
        TestClient(websocket_app(accept=False), protocol="asgi").websocket_connect("/ws"),
    ):
        raise AssertionError("refused before")
    assert caught.value.code == 1008
    assert isinstance(caught.value.reason, list)


def test_an_accepted_websocket_is_closed_with_a_reason_that_fits() -> None:
    """A close frame has room for 123 bytes."""
    from velithon.testclient import TestClient

    with TestClient(websocket_app(accept=True), protocol="asgi").websocket_connect("/ws") as session:
        with pytest.raises(WebSocketDisconnect) as caught:
            session.receive_text()
    assert caught.value.code == 1008
    assert caught.value.reason == orjson.dumps(WEBSOCKET_ERRORS).decode()[:123]


def test_what_a_client_sent_does_not_fill_a_log() -> None:
    """Neither as text nor as `repr`: of 7 MB about 10 kB are shown."""
    error = RequestValidationError([{"type": "x", "loc": ("body",), "msg": "m", "input": "y" * 145_000}] * 50)
    assert 1_000 < len(str(error)) < 12_000
    assert 1_000 < len(repr(error)) < 12_000
    assert "and 30 more" in str(error)
