"""The responses of an operation: the success, the declared ones, the declared exceptions."""

from __future__ import annotations

import inspect
from copy import deepcopy
from functools import cache
from http.client import responses as phrases
from typing import TYPE_CHECKING

from velithon._runtime.json_values import JSONObject
from velithon.exception_handlers import is_body_allowed_for_status_code
from velithon.exceptions import RegistrationError
from velithon.openapi.fragments import merge
from velithon.openapi.parameters import survey
from velithon.responses.json import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from velithon.openapi.definitions import Definitions
    from velithon.openapi.routes import DocumentedRoute

_RANGES = {
    "1XX": "Information",
    "2XX": "Success",
    "3XX": "Redirection",
    "4XX": "Client Error",
    "5XX": "Server Error",
    "DEFAULT": "Default Response",
}


def add_responses(operation: JSONObject, route: DocumentedRoute, definitions: Definitions) -> None:
    """Add `responses` to an operation."""
    responses: JSONObject = {}
    operation["responses"] = responses
    response: JSONObject = {"description": route.response_description}
    responses[_find_status(route)] = response
    if is_body_allowed_for_status_code(route.status_code):
        content = _build_content(route, definitions)
        if content:
            response["content"] = content
    for status, given in route.responses.items():
        _add_declared(responses, route, status, given, definitions)
    for status, raised in _build_raised_responses(route).items():
        if status not in responses:
            responses[status] = raised


def _find_status(route: DocumentedRoute) -> str:
    if route.status_code is not None:
        return str(int(route.status_code))
    return _read_default_status(route.response_class.__init__)


@cache
def _read_default_status(constructor: Callable[..., object]) -> str:
    parameter = inspect.signature(constructor).parameters.get("status_code")
    default = parameter.default if parameter is not None else None
    return str(default if isinstance(default, int) else 200)


def _build_content(route: DocumentedRoute, definitions: Definitions) -> JSONObject:
    item = route.stream_field
    if route.is_json_stream:
        return {"application/jsonl": {"itemSchema": definitions.schema(item) if item is not None else {}}}
    if route.is_sse_stream:
        return {
            "text/event-stream": {
                "itemSchema": _build_event_schema(definitions.schema(item) if item is not None else None)
            }
        }
    media_type = route.response_class.media_type
    if not media_type:
        return {}
    schema: JSONObject = {"type": "string"}
    if issubclass(route.response_class, _get_json_classes()):
        schema = definitions.schema(route.response_field) if route.response_field is not None else {}
    return {media_type: {"schema": schema}}


def _get_json_classes() -> tuple[type, ...]:
    from starlette.responses import JSONResponse as StarletteJSONResponse

    return (JSONResponse, StarletteJSONResponse)


def _build_event_schema(data: JSONObject | None) -> JSONObject:
    """Return the schema of one server-sent event (OpenAPI 3.2, section 4.14.4)."""
    properties: JSONObject = {
        "data": {"type": "string"},
        "event": {"type": "string"},
        "id": {"type": "string"},
        "retry": {"type": "integer", "minimum": 0},
    }
    if data is None:
        return {"type": "object", "properties": properties}
    properties["data"] |= {"contentMediaType": "application/json", "contentSchema": data}
    return {"type": "object", "properties": properties, "required": ["data"]}


def _add_declared(
    responses: JSONObject, route: DocumentedRoute, status: int | str, given: JSONObject, definitions: Definitions
) -> None:
    key = "default" if str(status).upper() == "DEFAULT" else str(_convert_status(status)).upper()
    if not (key.isdecimal() or key.upper() in _RANGES):
        raise ValueError(
            f"{route.endpoint_name}: responses={{{status!r}: ...}}: a key is a status code, such as 404, or '4XX', or "
            "'default'."
        )
    declared = deepcopy({name: value for name, value in given.items() if name != "model"})
    present = responses.setdefault(key, {})
    field = route.declared_fields.get(status)
    if field is not None:
        media_type = route.response_class.media_type or "application/json"
        content = declared.setdefault("content", {}).setdefault(media_type, {})
        merge(content.setdefault("schema", {}), definitions.schema(field))
    description = declared.get("description") or present.get("description") or _find_phrase(key)
    merge(present, declared)
    present["description"] = description


def _convert_status(status: int | str) -> int | str:
    """Return the number of a status that may be an `HTTPStatus`."""
    return int(status) if isinstance(status, int) else status


def _find_phrase(key: str) -> str:
    known = _RANGES.get(key.upper())
    if known is None and key.isdigit():
        known = phrases.get(int(key))
    return known or "Additional Response"


def _build_raised_responses(route: DocumentedRoute) -> dict[str, JSONObject]:
    """Return a response for each status of the declared exceptions.

    The route, its dependencies and its layers declare them.
    """
    found: dict[str, JSONObject] = {}
    for exception in dict.fromkeys((*route.raises, *survey(route.model).raises, *_iterate_layer_exceptions(route))):
        status, description, detail = _read_exception(exception, route)
        key = str(status)
        response = found.setdefault(key, {"description": ""})
        parts = [part for part in (response["description"], description) if part]
        response["description"] = "\n\n".join(dict.fromkeys(parts))
        headers = getattr(exception, "openapi_headers", None)
        if headers:
            response.setdefault("headers", {}).update(deepcopy(headers))
        if not is_body_allowed_for_status_code(status):
            continue
        content = response.setdefault(
            "content", {"application/json": {"schema": _build_detail_schema(), "examples": {}}}
        )
        name = getattr(exception, "__name__", type(exception).__name__)
        content["application/json"]["examples"][name] = {"value": {"detail": detail}}
    return found


def _iterate_layer_exceptions(route: DocumentedRoute) -> Iterator[object]:
    """Yield the exceptions that the layers around a route say they answer with."""
    owner = route.route._provider
    for layer in (*getattr(owner, "user_middleware", ()), *route.route.middleware):
        documented = getattr(layer.cls, "documented", None)
        if documented is not None:
            yield from documented(route.path_format, layer.kwargs)


def _build_detail_schema() -> JSONObject:
    return {
        "type": "object",
        "title": "HTTPError",
        "properties": {"detail": {"title": "Detail"}},
        "required": ["detail"],
    }


def _read_exception(exception: object, route: DocumentedRoute) -> tuple[int, str, object]:
    """Return status, description and detail of an exception class, or of an example."""
    instance = exception
    if isinstance(exception, type):
        try:
            instance = exception()
        except TypeError:
            # A class that needs arguments can still say its status and detail as attributes.
            instance = exception
    status = getattr(instance, "status_code", None)
    if not isinstance(status, int):
        raise RegistrationError(
            f"raises={exception!r}: the document needs its status, so give the class a `status_code` attribute, let it "
            "be made without arguments, or name an instance",
            endpoint=route.endpoint_name,
        )
    kind = exception if isinstance(exception, type) else type(exception)
    doc = inspect.cleandoc(kind.__dict__.get("__doc__") or "")
    phrase = phrases.get(status, "Error")
    detail = getattr(instance, "detail", None)
    detail = phrase if detail is None else detail
    return status, doc or (detail if isinstance(detail, str) else phrase), detail
