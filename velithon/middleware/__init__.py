"""Middleware: layers around the routes, for both protocols."""

from typing import Any

from starlette.middleware import Middleware as StarletteMiddleware

__all__ = ["Middleware"]


class Middleware(StarletteMiddleware):
    """A layer to be made: `cls(app, *args, **kwargs)`.

    Args:
        cls: A layer class of any form: `dispatch(request, call_next)`, ASGI, or RSGI.
        args: Its arguments after the application.
        kwargs: Likewise.
    """

    def __init__(self, cls: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(cls, *args, **kwargs)
