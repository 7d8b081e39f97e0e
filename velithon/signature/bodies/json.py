"""JSON bodies.

A single field without dependencies is validated straight from the bytes, where that gives the same value.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_core import ValidationError
from starlette.requests import ClientDisconnect, HTTPConnection, Request

from velithon.requests.rsgi import RSGIRequest
from velithon.signature import runtime
from velithon.signature.bodies.document import DocumentBody, build_unreadable_error, validate_whole
from velithon.signature.bodies.json_schema import find_bytes_validator
from velithon.signature.fields import Field, Undefined
from velithon_adapters import rsgi

if TYPE_CHECKING:
    from velithon.signature.bodies.format import BodyPlan
    from velithon.signature.model import EndpointModel


class JSONBody(DocumentBody):
    """A body of `application/json`, or of a media type that ends in `+json`."""

    media_types = ("application/json",)
    label = "JSON"

    @classmethod
    def is_declared(cls, fields: Sequence[Field]) -> bool:
        """Tell that the endpoint takes JSON: it does where no other format was asked for."""
        return True

    def matches(self, request: HTTPConnection, strict: bool) -> bool:
        return carries_json(request, strict)

    def parse(self, body: bytes) -> object:
        odd = _has_odd_numbers(body)
        data = json.loads(body, parse_int=_parse_int) if odd else json.loads(body)
        if odd or _has_surrogates(body):
            json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
        check_depth(body, data)
        return data

    def load(self, model: EndpointModel, request: object, body: bytes) -> object:
        """Return a body as Python data.

        Raises:
            RequestValidationError: It is no JSON; the location of the error has the position.
            HTTPException: 400, it is not even text.
        """
        try:
            return self.parse(body)
        except json.JSONDecodeError as error:
            detail = {
                "type": "json_invalid",
                "loc": ("body", error.pos),
                "msg": "JSON decode error",
                "input": {},
                "ctx": {"error": error.msg},
            }
            raise runtime.build_request_error(model, request, [detail], error.doc) from error
        except (ValueError, RecursionError) as error:
            raise build_unreadable_error(error) from error

    def check(self, model: EndpointModel, request: object, body: bytes) -> None:
        """Refuse numbers that are no JSON, though pydantic reads them."""
        if _has_odd_numbers(body):
            self.load(model, request, body)

    def parse_shown(self, model: EndpointModel, request: HTTPConnection, body: object, strict: bool) -> object:
        """Return a body that was validated from its bytes, parsed.

        The exception of a failed validation shows it.
        """
        if not isinstance(body, bytes):
            return body
        return self.load(model, request, body) if body and carries_json(request, strict) else body or Undefined

    @cached_property
    def _from_bytes(self) -> Callable[[bytes], object] | None:
        """What validates the only field from the body's bytes, where something may."""
        return None if self.embed or len(self.fields) != 1 else find_bytes_validator(self.fields[0])

    def _is_direct(self, plan: BodyPlan) -> bool:
        # Dependencies run after JSON was parsed and before it is validated.
        return not plan.has_dependencies and self._from_bytes is not None

    def write_reading(self, plan: BodyPlan) -> str:
        if not self._is_direct(plan):
            return super().write_reading(plan)
        out = plan.out
        with out.block("try:"):
            out.line(f"body = request._body = await {plan.use(read_whole_body)}(request)")
        with out.block("except Exception as error:"):
            out.line(f"error = {plan.use(as_client_disconnect)}(request, error)")
            out.line(f"raise {plan.use(build_unreadable_error)}(error) from error")
        return f"{out.constant(self.parse_shown, 'shown_body')}({plan.model_name}, request, body, {plan.strict})"

    def write_fields(self, plan: BodyPlan, fields: Sequence[Field], errors: str | None) -> dict[str, str]:
        if not self._is_direct(plan):
            return super().write_fields(plan, fields, errors)
        # Only what fails is parsed, for its error.
        out, (field,) = plan.out, fields
        name = out.fresh(field.name)
        validate = out.constant(self._from_bytes, f"validate_{field.name}_json")
        invalid: object = ValidationError
        if field.has_structs:
            from velithon.signature.structs import UNREADABLE as invalid
        constant = out.constant(field, f"{field.name}_field")
        load = out.constant(self.load, "load_json")
        with out.block(f"if body and {plan.use(carries_json)}(request, {plan.strict}):"):
            if invalid is ValidationError:
                out.line(f"{out.constant(self.check, 'check_numbers')}({plan.model_name}, request, body)")
            with out.block("try:"):
                out.line(f"{name} = {validate}(body)")
            with out.block(f"except {out.constant(invalid, 'Invalid')}:"):
                out.line(f"body = {load}({plan.model_name}, request, body)")
                out.line(f"{name}, found = {constant}.validate(body, ('body',))")
                plan.write_found(errors)
        with out.block("else:"):
            out.line(f"body = body or {out.constant(Undefined, 'Undefined')}")
            out.line(f"{name}, found = {plan.use(validate_whole)}({constant}, body)")
            plan.write_found(errors)
        return {field.name: name}


# Every digit is a 0, every exponent an e without a sign.
_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_MANY_DIGITS = b"0" * 300


def _has_odd_numbers(body: bytes) -> bool:
    """Tell whether there may be an infinite number or a NaN.

    It takes a few searches, each in C.
    """
    shape = body.translate(_SHAPE, b"+")
    return (
        shape.find(b"e000") >= 0
        or body.find(b"NaN") >= 0
        or body.find(b"Infinity") >= 0
        or (len(body) >= len(_MANY_DIGITS) and shape.find(_MANY_DIGITS) >= 0)
    )


def _has_surrogates(body: bytes) -> bool:
    return body.find(b"\\ud") >= 0 or body.find(b"\\uD") >= 0


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"A number has more than {MAX_DIGITS} digits.")
    return int(digits)


_CONTAINERS = (dict, list)

MAX_DIGITS = 308
"""How many digits a whole number of a body may have: more are infinity where a float is asked for."""

MAX_DEPTH = 200
"""How deep the arrays and objects of a body may be nested; pydantic answers no more than 255."""


def check_depth(body: bytes, data: Any) -> None:
    """Refuse a body that no answer could repeat.

    Raises:
        ValueError: Its arrays and objects are nested too deep.
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        level = [data] if type(data) in _CONTAINERS else []
        for _ in range(MAX_DEPTH):
            values = (value for outer in level for value in (outer.values() if type(outer) is dict else outer))
            level = [value for value in values if type(value) in _CONTAINERS]
            if not level:
                return
        raise ValueError(f"Arrays and objects are nested more than {MAX_DEPTH} deep.")


@lru_cache(maxsize=256)
def is_json(content_type: str) -> bool:
    """Tell whether a media type is `application/json` or ends in `+json` (RFC 6839)."""
    from email.message import Message

    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


def carries_json(request: HTTPConnection, strict: bool) -> bool:
    """Tell whether the body is to be read as JSON.

    Without `strict`, a body of no declared type is.
    """
    if type(request) is RSGIRequest and request._scope is None:
        content_type = request._rsgi.headers.get("content-type")
    else:
        content_type = request.headers.get("content-type")
    if not content_type:
        return not strict
    return content_type == "application/json" or is_json(content_type)


def read_whole_body(request: Request) -> Awaitable[bytes]:
    """Return the awaitable of the whole body.

    It is the server's own call where nobody has begun to read and nothing bounds the body.
    """
    if type(request) is RSGIRequest and request._is_unread and request._rsgi.http_version != "2":
        request._is_unread = False
        request._stream_consumed = True
        return request._protocol()
    return request.body()


def as_client_disconnect(request: Request, error: Exception) -> Exception:
    """Translate RSGI's `ProtocolClosed` into `ClientDisconnect`, and mark the request as disconnected."""
    if not isinstance(error, rsgi.ProtocolClosed):
        return error
    request._is_disconnected = True
    return ClientDisconnect()
