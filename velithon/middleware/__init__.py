"""Middleware: layers around the routes, for both protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from starlette.middleware import Middleware as StarletteMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Middleware"]

P = ParamSpec("P")


class Middleware(StarletteMiddleware):
    """A middleware class with the arguments that it is made with.

    Args:
        cls: Makes the layer: `cls(app, *args, **kwargs)`. What it makes is called with `(scope, receive, send)` or with
            `(scope, protocol)`, or has `dispatch(request, call_next)`.
        args: Further arguments.
        kwargs: Further arguments.
    """

    def __init__(self, cls: Callable[Concatenate[Any, P], Any], *args: P.args, **kwargs: P.kwargs) -> None:
        super().__init__(cls, *args, **kwargs)
