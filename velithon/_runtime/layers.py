"""Tells, when a layer is added, whether it can be made."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, ParamSpec, TypeAlias

from velithon.compat.asked import stands_for_fastapi
from velithon.exceptions import RegistrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Concatenate

    from starlette.middleware import Middleware

__all__ = ["LayerFactory", "P", "check_layer", "order_layers"]

P = ParamSpec("P")
LayerFactory: TypeAlias = "Callable[Concatenate[Any, P], object]"
"""Makes a layer of the application inside of it, over ASGI or RSGI, and of the layer's own arguments."""


def order_layers(layers: Sequence[Middleware]) -> list[Middleware]:
    """Return the layers that an application was given, outermost first.

    What was given last is to run first.

    Where Velithon stands for FastAPI it is the other way round, as the application was written for.

    Raises:
        RegistrationError: One of them cannot be made.
    """
    for cls, args, kwargs in layers:
        check_layer(cls, args, kwargs)
    return list(layers) if stands_for_fastapi() else list(reversed(layers))


def check_layer(layer: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    """Find out whether `layer(app, *args, **kwargs)` fits its signature.

    Raises:
        RegistrationError: It does not; names the layer, what does not fit and the signature.
    """
    try:
        signature = inspect.signature(layer)
    except (TypeError, ValueError):  # it has none that can be read
        return
    try:
        signature.bind(None, *args, **kwargs)
    except TypeError as error:
        if not args and not kwargs and not signature.parameters:
            problem = (
                "a middleware is called with the application that it stands around: write def __init__(self, app)"
                if inspect.isclass(layer)
                else "a middleware is called with the application that it stands around: give it a parameter app"
            )
        else:
            problem = f"the middleware cannot be made: {error}; it takes {signature}"
        raise RegistrationError(problem, endpoint=layer) from error
