"""The result side of a plan: what an endpoint returns becomes a response.

What can be decided at registration is: whether there is a model to validate against, whether the JSON may be written
straight to bytes, which status is sent. What remains for a request is one validation, one serialization and one lean
response whose headers are a shared constant.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError, ValidationError
from starlette.responses import JSONResponse as StarletteJSONResponse
from starlette.responses import Response as StarletteResponse

from velithon.background import assign_owner
from velithon.encoders import dump_struct, has_non_finite, json_bytes, jsonable_encoder
from velithon.exception_handlers import is_body_allowed_for_status_code
from velithon.responses.base import Response
from velithon.responses.json import JSONResponse
from velithon.signature.outcome import (
    Outcome,
    build_response_arguments,
    build_result_error,
    dump_options,
    find_valid_class,
    get_tools,
    is_written_by_msgspec,
    merge_headers,
    read_outcome,
)
from velithon.signature.stream import compile_stream
from velithon.signature.unencodable import explain

if TYPE_CHECKING:
    from starlette.background import BackgroundTasks

    from velithon.signature.fields import Field
    from velithon.signature.model import EndpointModel, ResponseOptions
    from velithon.signature.structs import StructTools

_STATUSES = frozenset(status.value for status in HTTPStatus)

Finish = Callable[[Any, object, "StarletteResponse | None", "BackgroundTasks | None"], StarletteResponse]
Encode = Callable[[object, object], Any]


def _build_encoder(field: Field, model: EndpointModel, options: ResponseOptions, to_bytes: bool) -> Encode:
    """Return `encode(result, request)` for a response model: validated, filtered, as JSON bytes or Python data."""
    validator, serializer = get_tools(field)
    check = validator.validate_python
    valid = find_valid_class(field)
    given = dump_options(options)
    write, by_alias = serializer.to_json, options.by_alias

    dump = partial(write, **given) if to_bytes else partial(serializer.to_python, mode="json", **given)
    # A partial merges its keywords at every call, which takes half as long as the serializer itself.
    is_plain = to_bytes and len(given) == 1
    if is_plain and is_written_by_msgspec(field):
        return _build_struct_encoder(serializer, valid, model)  # type: ignore[arg-type]  # msgspec's, as was asked

    def encode(result: object, request: object) -> Any:
        value = result
        if type(result) is not valid:
            try:
                value = check(result, from_attributes=True)
            except ValidationError as error:
                raise build_result_error(error, result, model, request) from error
        try:
            return write(value, by_alias=by_alias) if is_plain else dump(value)
        except (PydanticSerializationError, UnicodeError):
            return encode_again(value)

    def encode_any(result: object, request: object) -> Any:
        try:
            return write(result, by_alias=by_alias) if is_plain else dump(result)
        except (PydanticSerializationError, UnicodeError):
            return encode_again(result)

    def encode_again(value: object) -> Any:
        """Encode what pydantic's serializer does not know, and text that UTF-8 cannot carry."""
        try:
            return dump(value, fallback=dump_struct)
        except (PydanticSerializationError, UnicodeError) as error:
            if "utf-8" not in str(error):
                raise
            data = serializer.to_python(value, **given)
            return json_bytes(data) if to_bytes else jsonable_encoder(data)

    return encode_any if field.annotation is Any and not field.info.metadata else encode


def _build_struct_encoder(tools: StructTools, valid: object, model: EndpointModel) -> Encode:
    write, check = tools.write, tools.validate_python

    def encode(result: object, request: object) -> bytes:
        if type(result) is not valid:
            try:
                result = check(result, from_attributes=True)
            except ValidationError as error:
                raise build_result_error(error, result, model, request) from error
        return write(result)

    return encode


def compile_result(model: EndpointModel, options: ResponseOptions) -> Finish:
    """Return `finish(result, request, response, background) -> Response`.

    `result` is what the endpoint returned; of a generator endpoint, the generator. `response` is the one that the
    endpoint or a dependency asked for by annotation, `background` the tasks; none where nobody did.

    Raises:
        RegistrationError: See `read_outcome`.
    """
    outcome = read_outcome(model, options, complete=True)
    if model.is_generator or model.is_async_generator:
        return compile_stream(model, options, outcome)
    if outcome.response_class is JSONResponse or not outcome.chosen and outcome.field is not None:
        finish = _build_json_finish(
            _build_json_encoder(outcome, model, options), options.status_code, outcome.field, model
        )
    else:
        finish = _build_class_finish(
            outcome.response_class, _build_data_encoder(outcome, model, options), options.status_code, model
        )
    return (
        finish
        if is_body_allowed_for_status_code(options.status_code)
        else _build_bodyless_finish(finish, model, options)
    )


def _build_bodyless_finish(finish: Finish, model: EndpointModel, options: ResponseOptions) -> Finish:
    """Return `finish` for a status without a body.

    It warns once of a value that is not sent.
    """
    warned = False

    def finish_without(
        result: object, request: object, response: StarletteResponse | None, background: BackgroundTasks | None
    ) -> StarletteResponse:
        nonlocal warned
        if not warned and result is not None and not isinstance(result, StarletteResponse):
            warned = True
            _warn(
                model,
                f"It returned a value of {type(result).__name__}, and a response with status {options.status_code} has"
                " no body: the value is not sent. Return nothing, or leave status_code out.",
            )
        return finish(result, request, response, background)

    return finish_without


def _warn_of_status(result: tuple[object, ...], model: EndpointModel) -> bool:
    """Warn of `return value, 404`; return whether it was that."""
    if len(result) != 2 or type(result[1]) is not int or isinstance(result[0], int | float):
        return False
    status = result[1]
    if status not in _STATUSES:
        return False
    cure = (
        f"Raise HTTPException({status}, detail=...)" if status >= 400 else f"Say status_code={status} in the decorator"
    )
    _warn(
        model,
        f"It returned a value and {status}, which are sent as a list with status 200. {cure} instead.",
    )
    return True


def _warn(model: EndpointModel, problem: str) -> None:
    from velithon._runtime.mistakes import warn_of

    warn_of(model.call, problem)


def _build_json_encoder(outcome: Outcome, model: EndpointModel, options: ResponseOptions) -> Encode | None:
    """Return what makes bytes of a result; none for `json_bytes`."""
    if outcome.field is None:
        return None
    encode = _build_encoder(outcome.field, model, options, to_bytes=True)
    if not outcome.chosen:
        return encode
    # A JSONResponse that somebody asked for refuses what JSON cannot say; the bytes of a model say null.
    to_data = _build_data_encoder(outcome, model, options)

    def encode_strictly(result: object, request: object) -> bytes:
        body: bytes = encode(result, request)
        if b"null" in body and has_non_finite(data := to_data(result, request)):
            return json_bytes(data)
        return body

    return encode_strictly


def _build_data_encoder(outcome: Outcome, model: EndpointModel, options: ResponseOptions) -> Encode:
    """Return what makes Python data of a result, for a response class to render."""
    if outcome.field is None:
        return lambda result, request: jsonable_encoder(result)
    return _build_encoder(outcome.field, model, options, to_bytes=False)


def _build_json_finish(
    encode: Encode | None, status_code: int | None, field: Field | None, model: EndpointModel
) -> Finish:
    status = 200 if status_code is None else status_code
    warned = field is not None

    def take(
        result: object, response: StarletteResponse | None, background: BackgroundTasks | None
    ) -> StarletteResponse | None:
        if isinstance(result, StarletteResponse):
            return _adopt_response(result, response, background, status)
        if type(result) is tuple:
            nonlocal warned
            warned = warned or _warn_of_status(result, model)
        return None

    return JSONResponse.compile_finish(
        encode,
        status,
        is_body_allowed_for_status_code(status),
        # What is no response, told in a third of the time.
        usual=(dict, list, None if field is None else find_valid_class(field)),
        take=take,
        explain=partial(explain, model.call),
        merge=_merge_injected,
    )


def _build_class_finish(
    response_class: type[StarletteResponse], encode: Encode, status_code: int | None, model: EndpointModel
) -> Finish:
    is_json = issubclass(response_class, JSONResponse | StarletteJSONResponse)

    def finish(
        result: object, request: object, response: StarletteResponse | None, background: BackgroundTasks | None
    ) -> StarletteResponse:
        if isinstance(result, StarletteResponse):
            return _adopt_response(result, response, background, status_code or 200)
        arguments = build_response_arguments(status_code, response, background)
        try:
            made = response_class(encode(result, request), **arguments)
        except (TypeError, ValueError, RecursionError) as error:
            if is_json:
                raise explain(model.call, result, error) from error
            raise
        if not is_body_allowed_for_status_code(made.status_code):
            _drop_body(made)
        if response is not None:
            merge_headers(made, response)
        return made

    return finish


def _adopt_response(
    result: StarletteResponse, injected: StarletteResponse | None, background: BackgroundTasks | None, status: int
) -> StarletteResponse:
    """Take a response as the endpoint made it."""
    if result.background is None:
        result.background = background
    elif background is not None and result.background is not background:
        # Both run: what was asked for by annotation first.
        assign_owner(result.background)
        background.tasks.append(result.background)
        result.background = background
    if result is injected and not result.status_code:
        result.status_code = status
    return result


def _merge_injected(made: Response, injected: StarletteResponse, body: bytes) -> None:
    status = injected.status_code
    if status:
        made.status_code = status
        made.body = body if is_body_allowed_for_status_code(status) else b""
    merge_headers(made, injected)


def _drop_body(made: StarletteResponse) -> None:
    if getattr(made, "body", None):
        made.body = b""
        if not isinstance(made, Response) and "content-length" in made.headers:
            # Ours counts when it is sent; Starlette's has counted already.
            del made.headers["content-length"]
