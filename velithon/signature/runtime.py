"""What generated plans call: reading bodies and query strings, collecting errors, unwinding exits."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from tokenize import TokenError
from urllib.parse import parse_qsl

from pydantic_core import ValidationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from velithon.exceptions import (
    EndpointContext,
    RequestValidationError,
    VelithonError,
    WebSocketRequestValidationError,
)
from velithon.requests.request import Request
from velithon.requests.rsgi import RSGIRequest
from velithon.signature.exits import Exits
from velithon.signature.fields import Errors, Location, Undefined, locate_errors
from velithon.signature.model import EndpointModel


def read_query(request: HTTPConnection) -> dict[str, str]:
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


def add_validation_error(errors: Errors | None, error: ValidationError, location: Location) -> Errors:
    """Add pydantic's errors to what was collected."""
    found = locate_errors(error, location)
    return found if errors is None else errors + found


def add_errors(errors: Errors | None, more: Errors) -> Errors:
    """Add errors to what was collected."""
    return more if errors is None else errors + more


_places: dict[int, tuple[object, EndpointContext]] = {}


def describe_endpoint(model: EndpointModel, connection: object) -> EndpointContext:
    """Return where the endpoint is written, for the message of a validation error.

    Args:
        model: The endpoint.
        connection: What was asked: a request or WebSocket, or an RSGI scope of an application without a root path.
    """
    place = _locate_source(model.call).copy()
    if model.path:
        method = "WS" if model.kind == "websocket" else getattr(connection, "method", "")
        scope = getattr(connection, "scope", {})
        root_path = scope.get("root_path", "").rstrip("/")
        place["path"] = f"{method} {root_path}{re.sub(':[^}]*', '', model.path)}"
    return place


def _locate_source(call: Callable[..., object]) -> EndpointContext:
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


def build_request_error(
    model: EndpointModel, request: object, errors: Errors, body: object = Undefined
) -> RequestValidationError:
    """Return the exception that answers 422."""
    return RequestValidationError(
        errors, body=None if body is Undefined else body, endpoint_ctx=describe_endpoint(model, request)
    )


def build_websocket_error(model: EndpointModel, websocket: object, errors: Errors) -> WebSocketRequestValidationError:
    """Return the exception that closes a WebSocket with 1008."""
    return WebSocketRequestValidationError(errors, endpoint_ctx=describe_endpoint(model, websocket))


class BlankResponse(Response):
    """A response whose status and headers an endpoint may set."""

    def __repr__(self) -> str:
        # Without an address: packages make keys of an endpoint's arguments.
        return "<Response>"


def make_blank_response() -> Response:
    """Return the response that an endpoint takes to set status and headers.

    They are merged into the response that is sent.
    """
    response = BlankResponse()
    del response.headers["content-length"]
    response.status_code = None  # type: ignore[assignment]  # none tells that nobody chose one
    return response


async def unwind(stack: AsyncExitStack, error: BaseException) -> None:
    """Run exits with the exception that ended the plan.

    Raises:
        BaseException: What the exits let through, or raised themselves.
        VelithonError: An exit swallowed the exception, so that there is nothing to answer.
    """
    if await stack.__aexit__(type(error), error, error.__traceback__):
        raise build_swallowed_error() from error
    raise error


def build_swallowed_error() -> VelithonError:
    """Return the error of a dependency that caught the endpoint's exception and raised none."""
    return VelithonError(
        "No response: a dependency with yield caught the endpoint's exception and did not raise it again. "
        "In its `except` block, end with `raise`, or raise an HTTPException"
    )


def hand_over_exits(request: Request, stack: Exits) -> None:
    """Leave exits to the face, which runs them after the response was sent."""
    stack.hand_over()
    if request._exit_stack is None:
        request._exit_stack = stack
    else:
        request._exit_stack.push_async_exit(stack)
