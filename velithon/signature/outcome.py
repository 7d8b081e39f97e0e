"""What an endpoint's results are: the class of the response, its model, its stream.

It is read from the endpoint's declaration, once for documents and plans.
"""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from typing import TYPE_CHECKING, Any, ForwardRef, Protocol, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ValidationError
from starlette.responses import Response as StarletteResponse

from velithon.datastructures import DefaultPlaceholder
from velithon.exception_handlers import is_body_allowed_for_status_code
from velithon.exceptions import RegistrationError, ResponseValidationError
from velithon.responses.base import Response
from velithon.responses.json import JSONResponse
from velithon.signature.annotations import is_struct, is_subclass, strip_wrappers
from velithon.signature.fields import Field, locate_errors
from velithon.signature.runtime import describe_endpoint
from velithon.signature.unencodable import describe_awaitable
from velithon.signature.validatable import check_annotation, find_table_class

if TYPE_CHECKING:
    from starlette.background import BackgroundTasks

    from velithon.signature.model import EndpointModel, ResponseOptions

_STREAM_ORIGINS = (AsyncIterable, AsyncIterator, AsyncGenerator, Iterable, Iterator, Generator)


class Outcome:
    """What an endpoint's results are, as far as its declaration tells.

    Attributes:
        response_class: The class of the response.
        declared: The response model, said or taken from the return annotation; `None` without one.
        chosen: Whether somebody chose that class; where nobody did, JSON is written straight to bytes.
        field: What results are validated and documented as; none without a response model.
        stream_field: The same for each item of a generator.
        is_json_stream: Whether items are sent as JSON Lines; likewise `is_sse_stream`, as server-sent events.
    """

    def __init__(self, response_class: type[StarletteResponse], chosen: bool) -> None:
        self.response_class = response_class
        self.chosen = chosen
        self.declared: object = None
        self.field: Field | None = None
        self.stream_field: Field | None = None
        self.is_json_stream = False
        self.is_sse_stream = False


def read_outcome(model: EndpointModel, options: ResponseOptions, *, complete: bool = False) -> Outcome:
    """Read what an endpoint's results are.

    Nothing is built that the first request does not need.

    Args:
        model: The endpoint.
        options: What its route says.
        complete: Whether every name must be known. While a module is still being executed, the class in a return
            annotation may come further down; such an annotation is read when the first request comes.

    Raises:
        RegistrationError: The response model is none, or the status forbids a body and there is a model for one.
    """
    response_class = options.response_class
    chosen = response_class is not None and not isinstance(response_class, DefaultPlaceholder)
    if isinstance(response_class, DefaultPlaceholder):
        response_class = response_class.value
    outcome = Outcome(response_class or JSONResponse, chosen)
    is_generator = model.is_generator or model.is_async_generator
    outcome.is_json_stream = is_generator and not chosen
    outcome.is_sse_stream = is_generator and _is_from_events(outcome.response_class, "EventSourceResponse")
    declared = options.response_model
    if isinstance(declared, DefaultPlaceholder):
        declared, item = _read_annotation(model, is_generator, complete)
        if (
            item is not None
            and (outcome.is_json_stream or outcome.is_sse_stream)
            and not _is_from_events(item, "ServerSentEvent")
        ):
            outcome.stream_field = _build_field(model, item, "item type of the return annotation")
    outcome.declared = declared
    if declared:
        if not is_body_allowed_for_status_code(options.status_code):
            raise RegistrationError(
                f"Status {options.status_code} has no body, but there is a response model; drop the return annotation "
                "or say response_model=None",
                endpoint=model.call,
            )
        outcome.field = _build_field(model, declared, "response model")
    _check_structs(model, options, outcome)
    return outcome


def check_declared(model: EndpointModel, responses: Mapping[int | str, Mapping[str, object]]) -> None:
    """Refuse what `responses=` names as a model and is none.

    Raises:
        RegistrationError: pydantic has no schema for it.
    """
    for status, given in responses.items():
        if given.get("model"):
            _build_field(model, given["model"], f"the model of responses[{status!r}]")


def _check_structs(model: EndpointModel, options: ResponseOptions, outcome: Outcome) -> None:
    if not any(field is not None and field.has_structs for field in (outcome.field, outcome.stream_field)):
        return
    from velithon.signature.structs import StructError, check_options

    try:
        check_options(dump_options(options))
    except StructError as error:
        raise RegistrationError(str(error), endpoint=model.call) from error


def _read_annotation(model: EndpointModel, is_generator: bool, complete: bool) -> tuple[object, object]:
    """Return the response model and the stream's item type that the return annotation means."""
    annotation = model.returns
    if isinstance(annotation, str | ForwardRef):
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        annotation = _evaluate(model, text, complete)
    if annotation is inspect.Signature.empty or is_subclass(annotation, StarletteResponse):
        return None, None
    if is_generator and (annotation in _STREAM_ORIGINS or get_origin(annotation) in _STREAM_ORIGINS):
        return None, (get_args(annotation) or (Any,))[0]
    return annotation, None


def _evaluate(model: EndpointModel, text: str, complete: bool) -> object:
    try:
        return eval(text, getattr(strip_wrappers(model.call), "__globals__", {}))  # as `typing.get_type_hints` does
    except NameError as error:
        if not complete:
            return inspect.Signature.empty
        raise RegistrationError(
            f"The name {error.name!r} of the return annotation {text!r} is unknown where the endpoint is defined",
            endpoint=model.call,
        ) from error


def _is_from_events(kind: object, name: str) -> bool:
    """Tell a class of `velithon.responses.sse` without importing that module.

    Whoever has the class has imported it.
    """
    if not isinstance(kind, type):
        return False
    return ("velithon.responses.sse", name) in {(base.__module__, base.__name__) for base in kind.__mro__}


def _build_field(model: EndpointModel, annotation: object, what: str) -> Field:
    info = FieldInfo(annotation=annotation)  # type: ignore[arg-type]  # pydantic says a type, and takes any annotation
    field = Field("response", info, mode="serialization")

    def fail(problem: str) -> RegistrationError:
        text = f"Invalid args for response field: {what} {annotation!r}: {problem}"
        if find_table_class(annotation) is None:
            # Of a table, that would send all columns.
            text += ". Where the return annotation is no model, say response_model=None"
        return RegistrationError(text, endpoint=model.call)

    check_annotation(field, fail)
    return field


def dump_options(options: ResponseOptions) -> dict[str, Any]:
    """Return the arguments of pydantic's serializers that the options mean, as few as possible."""
    given: dict[str, Any] = {"by_alias": options.by_alias}
    for name in ("include", "exclude"):
        fields = getattr(options, name)
        if fields is not None:
            given[name] = fields if isinstance(fields, set | Mapping) else set(fields)
    for name in ("exclude_unset", "exclude_defaults", "exclude_none"):
        if getattr(options, name):
            given[name] = True
    return given


def is_written_by_msgspec(field: Field) -> bool:
    """Tell whether msgspec writes all of a field."""
    if not field.has_structs or field.info.metadata:
        return False
    from velithon.signature.structs import is_native

    return is_native(field.annotation)


class Validator(Protocol):
    """What checks a result: a validator of pydantic, or of msgspec."""

    @property
    def validate_python(self) -> Callable[..., object]:
        """Return the value of a result, which may be another object."""


class Serializer(Protocol):
    """What writes a result: a serializer of pydantic, or of msgspec."""

    @property
    def to_json(self) -> Callable[..., bytes]:
        """Write JSON."""

    @property
    def to_python(self) -> Callable[..., object]:
        """Return Python data; with `mode="json"`, the types of JSON."""


def get_tools(field: Field) -> tuple[Validator, Serializer]:
    """Return the validator and the serializer of a field; a model has its own already."""
    annotation = field.annotation
    if not field.info.metadata and is_subclass(annotation, BaseModel) and annotation.__pydantic_complete__:
        return annotation.__pydantic_validator__, annotation.__pydantic_serializer__
    if is_written_by_msgspec(field):
        from velithon.signature.structs import StructTools

        return (found := StructTools(annotation)), found
    return field.adapter.validator, field.adapter.serializer


def find_valid_class(field: Field) -> type | None:
    """Return the class whose instances pass a field's validator unchanged, or none.

    pydantic looks at no model again unless `revalidate_instances` asks for it; a validator of the whole model, which
    would run again, stands around the model in its schema.
    """
    annotation = field.annotation
    if is_struct(annotation) and not field.info.metadata:
        return annotation  # type: ignore[no-any-return]  # a class, as was asked
    if field.info.metadata or not is_subclass(annotation, BaseModel) or not annotation.__pydantic_complete__:
        return None
    schema = annotation.__pydantic_core_schema__
    config = schema.get("config") or {}
    if schema["type"] != "model" or config.get("revalidate_instances", "never") != "never":
        return None
    return annotation


def build_result_error(
    error: ValidationError, result: object, model: EndpointModel, request: object
) -> ResponseValidationError:
    """Return the exception for a result that does not fit its response model."""
    errors = locate_errors(error, ("response",))
    for found in errors:
        if (awaitable := describe_awaitable(found.get("input"))) is not None:
            found["msg"] = f"This is {awaitable}"
    return ResponseValidationError(errors, body=result, endpoint_ctx=describe_endpoint(model, request))


def build_response_arguments(
    status_code: int | None, injected: StarletteResponse | None, background: BackgroundTasks | None
) -> dict[str, Any]:
    """Return what a response class is called with.

    A class may have a status of its own, so none is passed unasked.
    """
    arguments: dict[str, Any] = {"background": background}
    status = (injected.status_code if injected is not None else None) or status_code
    if status is not None:
        arguments["status_code"] = status
    return arguments


def merge_headers(made: StarletteResponse, injected: StarletteResponse) -> None:
    """Add the headers and cookies that were set on the injected response."""
    raw = injected.raw_headers
    if not raw:
        return
    if isinstance(made, Response):
        for name, value in raw:
            made.append_header(name.decode("latin-1"), value.decode("latin-1"))
    else:
        made.raw_headers.extend(raw)
