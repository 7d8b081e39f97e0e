"""What packages take from `fastapi.dependencies.utils`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from velithon.compat.dependant import get_parameterless_sub_dependant
from velithon.signature import EndpointModel, read_endpoint
from velithon.signature.annotations import signature_of

__all__ = ["get_dependant", "get_parameterless_sub_dependant", "get_typed_return_annotation", "get_typed_signature"]


def get_dependant(*, path: str, call: Callable[..., Any], name: str | None = None, **options: Any) -> EndpointModel:
    """Read a callable as an endpoint of a path.

    Args:
        path: The path template.
        call: The callable.
        name: The name of the route.
        options: FastAPI's further ones: scopes and cache are the marker's affair here.
    """
    return read_endpoint(call, path=path, name=name)


def get_typed_signature(call: Callable[..., Any]) -> inspect.Signature:
    """Return a callable's signature with its annotations evaluated."""
    return signature_of(call)


def get_typed_return_annotation(call: Callable[..., Any]) -> Any:
    """Return what a callable says it returns, evaluated; `None` where it says nothing."""
    returned = signature_of(call).return_annotation
    return None if returned is inspect.Signature.empty else returned
