"""What a document says of a route, read from the route and its models.

A route has one entry, a class one for each of its methods.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic.fields import FieldInfo
from starlette.responses import Response
from starlette.routing import BaseRoute

from velithon.datastructures import DefaultPlaceholder
from velithon.routing.contexts import RouteContext, iter_route_contexts
from velithon.signature.fields import Field
from velithon.signature.outcome import read_outcome

if TYPE_CHECKING:
    from velithon.routing.routes import Route
    from velithon.signature.model import EndpointModel

_METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")


@dataclass(slots=True, eq=False)
class DocumentedRoute:
    """An operation, or several that differ in nothing but the method.

    Attributes:
        route: Where it comes from; metadata that the attributes below do not hold is read from it.
        model: The signature.
        methods: The HTTP methods, in capitals.
        summary: One line; none means the route's name.
        description: Markdown.
        operation_id: The identifier.
        response_class: The class of a success.
        body_field: The whole body; none without one.
        response_field: What a success holds; none when that is not known.
        stream_field: One item of a stream.
        is_json_stream: Whether items are sent as JSON lines; likewise `is_sse_stream`, as server-sent events.
        declared_fields: Key of `responses` -> its model.
        callbacks: The requests that the application sends back.
    """

    route: Route
    model: EndpointModel
    methods: list[str]
    summary: str | None
    description: str
    operation_id: str
    response_class: type[Response]
    body_field: Field | None = None
    response_field: Field | None = None
    stream_field: Field | None = None
    is_json_stream: bool = False
    is_sse_stream: bool = False
    declared_fields: dict[int | str, Field] = field(default_factory=dict)
    callbacks: list[DocumentedRoute] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.route, name)

    @property
    def response_fields(self) -> list[Field]:
        """Every field that the responses show."""
        found = [self.response_field, *self.declared_fields.values(), self.stream_field]
        return [item for item in found if item is not None]

    @property
    def is_class(self) -> bool:
        """Whether the endpoint is a class."""
        return self.route.model is None

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name, for messages."""
        return getattr(self.route.endpoint, "__name__", "<unnamed_endpoint>")

    @property
    def file(self) -> str | None:
        """The endpoint's file, for messages."""
        return getattr(self.route.endpoint, "__globals__", {}).get("__file__")


def describe_routes(routes: Iterable[BaseRoute | RouteContext]) -> list[DocumentedRoute]:
    """Return the operations of routes; mounted applications, WebSockets and foreign routes have none."""
    from velithon.routing.routes import Route

    found: list[DocumentedRoute] = []
    for route in (context.route for context in iter_route_contexts(routes)):
        if isinstance(route, Route) and route.include_in_schema:
            found.extend(_read_route(route))
    return found


def _read_route(route: Route) -> list[DocumentedRoute]:
    if route.model is not None:
        operation_id = route.operation_id or route.unique_id
        return [_build_entry(route, route.model, list(route.methods), route.summary, route.description, operation_id)]
    return [
        _build_method_entry(route, method, model, alone=len(route.models) == 1)
        for method, model in route.models.items()
        if method in _METHODS
    ]


def _build_method_entry(route: Route, method: str, model: EndpointModel, *, alone: bool) -> DocumentedRoute:
    summary, _, description = inspect.cleandoc(model.call.__doc__ or "").split("\f")[0].partition("\n")
    if route.options.get("summary") or not summary:
        summary = route.summary or ""
    if route.options.get("description") or not model.call.__doc__:
        description = route.description
    if route.operation_id:
        operation_id = route.operation_id if alone else f"{route.operation_id}_{method.lower()}"
    else:
        single = copy.copy(route)
        single.methods = {method}
        generate: Any = route.generate_unique_id_function
        operation_id = (generate.value if isinstance(generate, DefaultPlaceholder) else generate)(single)
    return _build_entry(route, model, [method], summary or None, description.strip(), operation_id)


def _build_entry(
    route: Route, model: EndpointModel, methods: list[str], summary: str | None, description: str, operation_id: str
) -> DocumentedRoute:
    outcome = read_outcome(model, route.response_options, complete=True)
    entry = DocumentedRoute(route, model, methods, summary, description, operation_id, outcome.response_class)
    if model.body is not None:
        # The schema is named after the operation, whose id may have been changed since the route was made.
        entry.body_field = model.body.describe(operation_id)
    if outcome.field is not None:
        entry.response_field = _build_output_field(f"Response_{operation_id}", outcome.field.annotation)
    if outcome.stream_field is not None:
        entry.stream_field = _build_output_field(f"StreamItem_{operation_id}", outcome.stream_field.annotation)
    entry.is_json_stream = outcome.is_json_stream
    entry.is_sse_stream = outcome.is_sse_stream
    for status, given in route.responses.items():
        declared = given.get("model")
        if declared:
            entry.declared_fields[status] = _build_output_field(f"Response_{status}_{operation_id}", declared)
    entry.callbacks = describe_routes(route.callbacks or ())
    return entry


def _build_output_field(name: str, annotation: Any) -> Field:
    return Field(name, FieldInfo(annotation=annotation), mode="serialization")


def list_dependencies(models: Sequence[EndpointModel]) -> list[str]:
    """Return the names of endpoints' dependencies, each once, in order of execution."""
    found: dict[str, None] = {}
    for model in models:
        for dependency in list(model.walk())[1:]:
            call = dependency.call
            found.setdefault(getattr(call, "__qualname__", type(call).__name__))
    return list(found)
