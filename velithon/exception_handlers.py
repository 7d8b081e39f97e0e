"""The default exception handlers, and the same with problem documents (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketState

from velithon.compat.asked import is_asked_for
from velithon.encoders import json_bytes, jsonable_encoder
from velithon.exceptions import RequestValidationError, WebSocketRequestValidationError
from velithon.requests.accept import accepts, prefers_html
from velithon.requests.request import Request as OwnRequest
from velithon.responses.base import PlainTextResponse, Response
from velithon.responses.json import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from velithon._runtime.json_values import JSONObject

__all__ = [
    "client_disconnect_handler",
    "http_exception_handler",
    "problem_handlers",
    "problem_http_exception_handler",
    "problem_request_validation_exception_handler",
    "problem_server_error_handler",
    "request_validation_exception_handler",
    "websocket_request_validation_exception_handler",
]

_MAX_ERROR_DEPTH = 20

logger = logging.getLogger("velithon")

_WS_POLICY_VIOLATION = 1008
_MAX_CLOSE_REASON = 123  # RFC 6455, section 5.5: a control frame carries 125 bytes, the code takes two


def is_body_allowed_for_status_code(status_code: int | str | None) -> bool:
    """Tell whether a response with this status may have a body.

    Args:
        status_code: A status, or a key of OpenAPI's responses: ``default``, ``2XX``. ``None`` is the default status.
    """
    if status_code is None or (isinstance(status_code, str) and not status_code.isdigit()):
        return True
    code = int(status_code)
    return code >= 200 and code not in {204, 205, 304}


async def http_exception_handler(request: Request, exc: HTTPException) -> Response:
    """Answer an ``HTTPException`` with ``{"detail": ...}``, or with no body where the status forbids one.

    A client that prefers HTML, as browsers do, gets a small page where ``detail`` is text and the status is an error's.
    """
    headers = getattr(exc, "headers", None)
    if not is_body_allowed_for_status_code(exc.status_code):
        return Response(status_code=exc.status_code, headers=headers)
    if exc.status_code >= 400 and isinstance(exc.detail, str) and _wants_page(request):
        from velithon.pages.error import render_error_page

        return render_error_page(exc.status_code, exc.detail, headers)
    return JSONResponse({"detail": exc.detail}, status_code=exc.status_code, headers=headers)


async def client_disconnect_handler(request: Request, exc: ClientDisconnect) -> Response:
    """Answer 400 to a request whose body was broken off.

    Its client may still be there.
    """
    log_disconnect(request)
    return JSONResponse({"detail": "The request's body was broken off."}, status_code=400)


def log_disconnect(request: Request) -> None:
    """Log, in one line, that a client left or broke its request off."""
    logger.info("The client of %s %s left before the end", request.method, request.url.path)


def build_not_found() -> Response:
    """Return the answer of ``http_exception_handler`` to an ``HTTPException(404)``."""
    return JSONResponse({"detail": HTTPStatus.NOT_FOUND.phrase}, status_code=404)


def _wants_page(request: Request) -> bool:
    """Tell whether a browser asks; where `fastapi` means Velithon, browsers get what FastAPI gives them."""
    accept = request._header("accept") if isinstance(request, OwnRequest) else request.headers.get("accept")
    return prefers_html(accept) and not is_asked_for()


def build_server_error(request: Request) -> Response:
    """Return the answer to an unhandled exception, in the form the client prefers."""
    if _wants_page(request):
        from velithon.pages.error import render_error_page

        return render_error_page(500)
    if accepts(request.headers.get("accept"), ("application/json",)) and not is_asked_for():
        return JSONResponse({"detail": HTTPStatus.INTERNAL_SERVER_ERROR.phrase}, status_code=500)
    return PlainTextResponse(HTTPStatus.INTERNAL_SERVER_ERROR.phrase, status_code=500)


async def request_validation_exception_handler(request: Request, exc: RequestValidationError) -> Response:
    """Answer 422 with every error of the request."""
    response = JSONResponse(None, status_code=422)
    # As results are encoded: `jsonable_encoder` takes five times as long.
    response.body = _encode_errors(exc)
    return response


def _encode_errors(exc: RequestValidationError) -> bytes:
    try:
        return json_bytes({"detail": exc.errors()})
    except (ValueError, TypeError, RecursionError):
        return json_bytes({"detail": _make_encodable(exc.errors())})


def _make_encodable(value: object, depth: int = 0) -> object:
    """Return what JSON can say of what a client sent, such as bytes that are no text."""
    if depth > _MAX_ERROR_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {_make_encodable(key, depth + 1): _make_encodable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_make_encodable(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if value is None or isinstance(value, bool | int) else str(value)


async def websocket_request_validation_exception_handler(
    websocket: WebSocket, exc: WebSocketRequestValidationError
) -> None:
    """Refuse the handshake, or close with 1008 (policy violation) what a dependency has accepted already."""
    errors = jsonable_encoder(exc.errors())
    reason: Any = errors
    if websocket.application_state is not WebSocketState.CONNECTING:
        # A refusal is an HTTP status, its reason stays on this side, whole; a close frame has room for a little text.
        reason = orjson.dumps(errors)[:_MAX_CLOSE_REASON].decode("utf-8", "ignore")
    await websocket.close(code=_WS_POLICY_VIOLATION, reason=reason)


async def problem_http_exception_handler(request: Request, exc: HTTPException) -> Response:
    """Answer an ``HTTPException`` with a problem document.

    A detail that is a mapping gives the document's members, extensions included; a list becomes its ``errors``.
    """
    headers = getattr(exc, "headers", None)
    if not is_body_allowed_for_status_code(exc.status_code):
        return Response(status_code=exc.status_code, headers=headers)
    detail: Any = exc.detail
    members: JSONObject
    if isinstance(detail, Mapping):
        members = dict(detail)
    elif isinstance(detail, str):
        members = {"detail": detail}
    else:
        members = {"errors": detail}
    return _build_problem(request, exc.status_code, members, headers)


async def problem_request_validation_exception_handler(request: Request, exc: RequestValidationError) -> Response:
    """Answer 422 with a problem document that lists every error of the request in ``errors``."""
    try:
        errors = jsonable_encoder(exc.errors())
        json_bytes(errors)
    except (ValueError, TypeError, RecursionError):
        errors = _make_encodable(exc.errors())
    count = f"{len(errors)} validation error{'' if len(errors) == 1 else 's'}"
    return _build_problem(request, 422, {"detail": count, "errors": errors}, None)


async def problem_server_error_handler(request: Request, exc: Exception) -> Response:
    """Answer 500 with a problem document that tells nothing about the exception."""
    return _build_problem(request, 500, {}, None)


async def problem_client_disconnect_handler(request: Request, exc: ClientDisconnect) -> Response:
    """Answer 400, as a problem document, to a request whose body never becomes complete."""
    log_disconnect(request)
    return _build_problem(request, 400, {"detail": "The request's body was broken off."}, None)


def problem_handlers() -> dict[type[Exception], Callable[..., Awaitable[object]]]:
    """Return the handlers, by exception, of an application whose errors are problem documents (RFC 9457)."""
    return {
        HTTPException: problem_http_exception_handler,
        ClientDisconnect: problem_client_disconnect_handler,
        RequestValidationError: problem_request_validation_exception_handler,
        WebSocketRequestValidationError: websocket_request_validation_exception_handler,
        Exception: problem_server_error_handler,
    }


def _build_problem(
    request: Request, status: int, members: Mapping[str, object], headers: Mapping[str, str] | None
) -> Response:
    try:
        title = HTTPStatus(status).phrase
    except ValueError:  # a status that nobody registered has no phrase
        title = "Error"
    document: JSONObject = {"type": "about:blank", "title": title, "status": status}
    document["instance"] = request.url.path
    document.update(members)
    if document.get("detail") == document["title"]:
        del document["detail"]
    return JSONResponse(document, status_code=status, headers=headers, media_type="application/problem+json")
