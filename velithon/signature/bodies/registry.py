"""Which body formats there are, and which of them an endpoint takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from velithon.exceptions import RegistrationError
from velithon.signature.bodies.form import FormBody, needs_json
from velithon.signature.bodies.format import Body
from velithon.signature.bodies.json import JSONBody

if TYPE_CHECKING:
    from velithon.signature.model import DependencyModel

B = TypeVar("B", bound=type[Body])

# Asked in this order; JSON takes what nobody else does.
_formats: list[type[Body]] = [FormBody, JSONBody]


def register_body(body: B) -> B:
    """Add a format for the endpoints that are registered from now on.

    Usable as a decorator.

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


def find_body(nodes: Iterable[DependencyModel]) -> Body | None:
    """Return the body that an endpoint and its dependencies take.

    None where nobody has a body field.

    Raises:
        RegistrationError: A model can only be JSON, and others make the body a form.
    """
    found = [(node, field) for node in nodes for field in node.body_params]
    if not found:
        return None
    fields = [field for _, field in found]
    body = next(body for body in _formats if body.is_declared(fields))
    if body is FormBody:
        for node, field in found:
            if needs_json(field):
                raise RegistrationError(
                    "It is a model that is read from JSON, and a request with Form() or File() fields is no JSON:"
                    f" make it Annotated[{field.annotation.__name__}, Form()], whose fields the form has, or"
                    f" Annotated[Json[{field.annotation.__name__}], Form()], one field that holds JSON",
                    endpoint=node.call,
                    parameter=field.name,
                )
    return body(fields)
