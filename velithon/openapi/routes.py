"""What a document says of a route, read from the route and its models: one entry a route, one a method for a class."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic.fields import FieldInfo
from starlette.responses import Response
from starlette.routing import BaseRoute

from velithon.datastructures import DefaultPlaceholder
from velithon.signature.annotations import is_subclass
from velithon.signature.fields import Field

if TYPE_CHECKING:
    from velithon.routes import Route
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
    response_field: Field | None = None
    stream_field: Field | None = None
    is_json_stream: bool = False
    is_sse_stream: bool = False
    declared_fields: dict[Any, Field] = field(default_factory=dict)
    callbacks: list[DocumentedRoute] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.route, name)

    @property
    def body_field(self) -> Field | None:
        """The whole body."""
        if self.model.name != self.operation_id:
            # The body's schema is named by the operation; a router's prefix may have changed that since.
            self.model.name = self.operation_id
        body: Field | None = self.model.body_field
        return body

    @property
    def response_class(self) -> type[Response]:
        """The class of a success."""
        chosen: Any = self.route.response_class
        found: type[Response] = chosen.value if isinstance(chosen, DefaultPlaceholder) else chosen
        return found

    @property
    def response_fields(self) -> list[Field]:
        """Every field that the responses show."""
        found = [self.response_field, *self.declared_fields.values(), self.stream_field]
        return [item for item in found if item is not None]

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name, for messages."""
        return getattr(self.route.endpoint, "__name__", "<unnamed_endpoint>")

    @property
    def file(self) -> str | None:
        """The endpoint's file, for messages."""
        return getattr(self.route.endpoint, "__globals__", {}).get("__file__")


def documented_routes(routes: Iterable[BaseRoute | DocumentedRoute]) -> list[DocumentedRoute]:
    """Return the operations of routes; mounted applications, WebSockets and foreign routes have none."""
    from velithon.routes import Route

    found: list[DocumentedRoute] = []
    for route in routes:
        if isinstance(route, DocumentedRoute):
            found.append(route)
        elif isinstance(route, Route) and route.include_in_schema:
            found.extend(_read(route))
    return found


def _read(route: Route) -> list[DocumentedRoute]:
    if route.model is not None:
        operation_id = route.operation_id or route.unique_id
        return [_entry(route, route.model, list(route.methods), route.summary, route.description, operation_id)]
    return [
        _method_entry(route, method, model, alone=len(route.models) == 1)
        for method, model in route.models.items()
        if method in _METHODS
    ]


def _method_entry(route: Route, method: str, model: EndpointModel, *, alone: bool) -> DocumentedRoute:
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
    return _entry(route, model, [method], summary or None, description.strip(), operation_id)


def _entry(
    route: Route, model: EndpointModel, methods: list[str], summary: str | None, description: str, operation_id: str
) -> DocumentedRoute:
    entry = DocumentedRoute(route, model, methods, summary, description, operation_id)
    _add_success(entry, route, model)
    for status, given in route.responses.items():
        declared = given.get("model")
        if declared:
            entry.declared_fields[status] = _output(f"Response_{status}_{operation_id}", declared)
    entry.callbacks = documented_routes(route.callbacks or ())
    return entry


def _add_success(entry: DocumentedRoute, route: Route, model: EndpointModel) -> None:
    from velithon.sse import EventSourceResponse, ServerSentEvent

    generates = model.is_generator or model.is_async_generator
    if generates:
        entry.is_json_stream = isinstance(route.response_class, DefaultPlaceholder)
        entry.is_sse_stream = is_subclass(route.response_class, EventSourceResponse)
    response_model: Any = route.response_model
    if isinstance(response_model, DefaultPlaceholder):
        response_model = None if model.returns is inspect.Signature.empty else model.returns
        item = model.stream_item
        if is_subclass(response_model, Response):
            response_model = None
        elif generates and item is not None:
            response_model = None
            if (entry.is_json_stream or entry.is_sse_stream) and not is_subclass(item, ServerSentEvent):
                entry.stream_field = _output(f"StreamItem_{entry.operation_id}", item)
    if response_model:
        entry.response_field = _output(f"Response_{entry.operation_id}", response_model)


def _output(name: str, annotation: Any) -> Field:
    return Field(name, FieldInfo(annotation=annotation), mode="serialization")


def source_of(endpoint: Callable[..., Any]) -> tuple[str, int] | None:
    """Return the file and line where an endpoint is written, or none where that is not known."""
    try:
        target = inspect.unwrap(endpoint)
        file = inspect.getsourcefile(target)
        line = inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        return None
    return (file, line) if file else None


def flat_dependencies(models: Sequence[EndpointModel]) -> list[str]:
    """Return the names of what endpoints depend on, each once, in the order in which they run."""
    found: dict[str, None] = {}
    for model in models:
        for dependency in list(model.walk())[1:]:
            call: Any = dependency.call
            found.setdefault(getattr(call, "__qualname__", type(call).__name__))
    return list(found)
