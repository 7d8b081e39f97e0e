"""What packages take from `fastapi.dependencies.utils`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from velithon.compat.dependant import get_parameterless_sub_dependant
from velithon.signature import EndpointModel, read_endpoint
from velithon.signature.annotations import is_subclass as lenient_issubclass
from velithon.signature.annotations import read_signature

if TYPE_CHECKING:
    from velithon.signature.fields import Field
    from velithon.signature.model import DependencyModel

__all__ = [
    "get_dependant",
    "get_parameterless_sub_dependant",
    "get_typed_return_annotation",
    "get_typed_signature",
    "lenient_issubclass",
]


def get_dependant(
    *, path: str, call: Callable[..., object], name: str | None = None, **options: object
) -> EndpointModel:
    """Read a callable as an endpoint of a path.

    Args:
        path: The path template.
        call: The callable.
        name: The name of the route.
        options: FastAPI's further ones: scopes and cache are the marker's affair here.
    """
    return read_endpoint(call, path=path, name=name)


def get_typed_signature(call: Callable[..., object]) -> inspect.Signature:
    """Return a callable's signature with its annotations evaluated."""
    return read_signature(call)


def get_typed_return_annotation(call: Callable[..., object]) -> object:
    """Return what a callable says it returns, evaluated; `None` where it says nothing."""
    returned = read_signature(call).return_annotation
    return None if returned is inspect.Signature.empty else returned


# What packages that rebuild a route call. The route has done it already, see `velithon.compat.routes`.


def _get_flat_body_params(dependant: DependencyModel) -> list[Field]:
    return [field for node in dependant.walk() for field in node.body_params]


def _get_body_field(*, body_params: list[Field], name: str, embed_body_fields: bool) -> Field | None:
    from velithon.signature.bodies.registry import find_body
    from velithon.signature.model import DependencyModel

    node = DependencyModel(_get_body_field)
    node.body_params = body_params
    body = find_body([node])
    return None if body is None else body.describe(name)
