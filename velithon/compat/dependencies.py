"""What packages take from `fastapi.dependencies.utils`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from velithon.signature import EndpointModel, read_endpoint

__all__ = ["get_dependant"]


def get_dependant(*, path: str, call: Callable[..., Any], name: str | None = None, **options: Any) -> EndpointModel:
    """Read a callable as an endpoint of a path.

    Args:
        path: The path template.
        call: The callable.
        name: The name of the route.
        options: FastAPI's further ones: scopes and cache are the marker's affair here.
    """
    return read_endpoint(call, path=path, name=name)
