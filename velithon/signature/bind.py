"""What generated plans call: reading bodies and query strings, collecting errors, unwinding exits."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import lru_cache
from tokenize import TokenError
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import ValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from velithon.exceptions import (
    EndpointContext,
    HTTPException,
    RequestValidationError,
    VelithonError,
    WebSocketRequestValidationError,
)
from velithon.requests.rsgi import RSGIRequest
from velithon.signature.fields import Errors, Field, Location, Undefined, located
from velithon.signature.model import EndpointModel
from velithon_adapters import rsgi


def query_map(request: Any) -> dict[str, str]:
    """Return the query string as a dictionary; the last of repeated keys wins."""
    if type(request) is RSGIRequest and request._scope is None:
        return parse_query(request._rsgi.query_string)
    return parse_query(request.scope["query_string"].decode("latin-1"))


def parse_query(raw: str) -> dict[str, str]:
    """Return a query string as a dictionary; the last of repeated keys wins."""
    if "%" in raw or "+" in raw:
        return dict(parse_qsl(raw, keep_blank_values=True))
    result = {}
    for pair in raw.split("&"):
        if pair:
            key, _, value = pair.partition("=")
            result[key] = value
    return result


@lru_cache(maxsize=256)
def is_json(content_type: str) -> bool:
    """Tell whether a media type is `application/json` or ends in `+json` (RFC 6839)."""
    from email.message import Message

    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


def whole_body(request: Any) -> Awaitable[bytes]:
    """Return the reading of the whole body: the server's own where nobody has begun and nothing bounds it."""
    if type(request) is RSGIRequest and request._is_unread and request._rsgi.http_version != "2":
        request._is_unread = False
        request._stream_consumed = True
        return request._protocol()
    return request.body()  # type: ignore[no-any-return]


def as_client_disconnect(request: Any, error: Exception) -> Exception:
    """Translate RSGI's `ProtocolClosed` into `ClientDisconnect`, and mark the request as disconnected."""
    if not isinstance(error, rsgi.ProtocolClosed):
        return error
    request._is_disconnected = True
    return ClientDisconnect()


def carries_json(request: Any, strict: bool) -> bool:
    """Tell whether the body is to be read as JSON; without `strict`, a body of no declared type is."""
    if type(request) is RSGIRequest and request._scope is None:
        content_type = request._rsgi.headers.get("content-type")
    else:
        content_type = request.headers.get("content-type")
    if not content_type:
        return not strict
    return content_type == "application/json" or is_json(content_type)


def load_json(model: EndpointModel, request: Any, body: bytes) -> Any:
    """Parse a JSON body.

    Raises:
        RequestValidationError: It is no JSON.
        HTTPException: 400, it is not even text.
    """
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        detail = {
            "type": "json_invalid",
            "loc": ("body", error.pos),
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": error.msg},
        }
        raise RequestValidationError([detail], body=error.doc, endpoint_ctx=context(model, request)) from error
    except (ValueError, RecursionError) as error:
        raise unreadable(error) from error


def unreadable(error: Exception) -> StarletteHTTPException:
    """Return the answer to a body that cannot be read: the error itself if it is one."""
    if isinstance(error, StarletteHTTPException):
        return error
    return HTTPException(400, "There was an error parsing the body")


async def read_bytes(request: Any) -> bytes:
    """Read the whole body.

    Raises:
        HTTPException: The body is over its limit, or its stream broke.
    """
    try:
        body: bytes = await request.body()
    except Exception as error:
        raise unreadable(error) from error
    return body


async def read_json(model: EndpointModel, request: Any, strict: bool) -> Any:
    """Read the body: parsed when it is JSON, `bytes` when it is not, `PydanticUndefined` when there is none."""
    body = await read_bytes(request)
    if not body:
        return Undefined
    return load_json(model, request, body) if carries_json(request, strict) else body


async def read_form(request: Any, max_files: int, max_fields: int, max_part_size: int) -> FormData:
    """Read the body as a form.

    Raises:
        HTTPException: The form is over a limit, or is none.
    """
    try:
        form: FormData = await request.form(max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)
    except Exception as error:
        raise unreadable(error) from error
    return form


def failed(errors: Errors | None, error: ValidationError, location: Location) -> Errors:
    """Add pydantic's errors to what was collected."""
    found = located(error, location)
    return found if errors is None else errors + found


def joined(errors: Errors | None, more: Errors) -> Errors:
    """Add errors to what was collected."""
    return more if errors is None else errors + more


_places: dict[int, tuple[Any, EndpointContext]] = {}


def context(model: EndpointModel, connection: Any) -> EndpointContext:
    """Return where the endpoint is written, for the message of a validation error.

    Args:
        model: The endpoint.
        connection: What was asked: a request or WebSocket, or an RSGI scope of an application without a root path.
    """
    place = _place(model.call).copy()
    if model.path:
        method = "WS" if model.kind == "websocket" else connection.method
        scope = getattr(connection, "scope", {})
        root_path = scope.get("root_path", "").rstrip("/")
        place["path"] = f"{method} {root_path}{re.sub(':[^}]*', '', model.path)}"
    return place


def _place(call: Callable[..., Any]) -> EndpointContext:
    known = _places.get(id(call))
    if known is not None and known[0] is call:
        return known[1]
    place = EndpointContext()
    try:
        source = inspect.getsourcefile(call)
        if source is not None:
            place["file"] = source
        place["line"] = inspect.getsourcelines(call)[1]
        place["function"] = call.__name__
    except (OSError, TypeError, AttributeError, SyntaxError, TokenError):
        # Among others, a source that changed under the running server.
        place = EndpointContext()
    _places[id(call)] = (call, place)
    return place


def invalid(model: EndpointModel, request: Any, errors: Errors, body: Any = Undefined) -> RequestValidationError:
    """Return the exception that answers 422."""
    return RequestValidationError(
        errors, body=None if body is Undefined else body, endpoint_ctx=context(model, request)
    )


def invalid_whole(
    model: EndpointModel, request: Any, errors: Errors, body: Any, strict: bool
) -> RequestValidationError:
    """Return the same where the body was validated from its bytes, which the exception shows parsed."""
    if isinstance(body, bytes):
        body = load_json(model, request, body) if body and carries_json(request, strict) else body or Undefined
    return invalid(model, request, errors, body)


def invalid_websocket(model: EndpointModel, websocket: Any, errors: Errors) -> WebSocketRequestValidationError:
    """Return the exception that closes a WebSocket with 1008."""
    return WebSocketRequestValidationError(errors, endpoint_ctx=context(model, websocket))


def body_value(field: Field, body: Any) -> tuple[Any, Errors]:
    """Validate a field that is the whole body."""
    location = ("body",)
    return field.absent(location) if body is Undefined else field.validate(body, location)


def blank_response() -> Response:
    """Return the response whose status and headers an endpoint may set and that is merged into the real one."""
    response = Response()
    del response.headers["content-length"]
    response.status_code = None  # type: ignore[assignment]
    return response


async def unwind(stack: AsyncExitStack, error: BaseException) -> None:
    """Run exits with the exception that ended the plan.

    Raises:
        BaseException: What the exits let through, or raised themselves.
        VelithonError: An exit swallowed the exception, so that there is nothing to answer.
    """
    if await stack.__aexit__(type(error), error, error.__traceback__):
        raise swallowed() from error
    raise error


def swallowed() -> VelithonError:
    """Return the error of a dependency that caught the endpoint's exception and raised none."""
    return VelithonError(
        "No response: a dependency with yield caught the endpoint's exception and did not raise it again. "
        "In its `except` block, end with `raise`, or raise an HTTPException"
    )


def keep(request: Any, stack: AsyncExitStack) -> None:
    """Leave exits to the face, which runs them after the response was sent."""
    if request._stack is None:
        request._stack = stack
    else:
        request._stack.push_async_exit(stack)
