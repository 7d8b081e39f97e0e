"""Which body formats there are, and which of them an endpoint takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from velithon.exceptions import RegistrationError
from velithon.signature.bodies.form import FormBody
from velithon.signature.bodies.format import Body
from velithon.signature.bodies.json import JSONBody
from velithon.signature.fields import Field

B = TypeVar("B", bound=type[Body])

# Asked in this order; JSON takes what nobody else does.
_formats: list[type[Body]] = [FormBody, JSONBody]


def register_body(body: B) -> B:
    """Add a format for the endpoints that are registered from now on; usable as a decorator.

    It is asked before those that were added earlier, and so before forms and JSON.

    Args:
        body: A subclass of `Body`. An endpoint asks for it with `Body(media_type=...)`.

    Raises:
        RegistrationError: It names no media type.
    """
    if not body.media_types:
        raise RegistrationError(f"The body format {body.__name__} needs media_types, such as ('application/msgpack',).")
    if body not in _formats:
        _formats.insert(0, body)
    return body


def unregister_body(body: type[Body]) -> None:
    """Take a format away again, for tests; endpoints that were registered meanwhile keep it."""
    _formats.remove(body)


def body_of(fields: Sequence[Field]) -> Body | None:
    """Return the body that an endpoint with these body fields takes; none without fields."""
    if not fields:
        return None
    return next(body for body in _formats if body.is_declared(fields))(fields)
