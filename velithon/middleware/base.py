"""Middleware with one method, `dispatch(request, call_next)`, that works on both protocols.

Inside an application such a layer costs one call: `call_next` is the next responder itself, so the layer runs in the
caller's task, context variables survive, and the response comes back before any of it was sent. Under another ASGI
application it works as Starlette's does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.middleware.base import BaseHTTPMiddleware as StarletteBaseHTTPMiddleware

from velithon.faces import asgi_face, capture
from velithon.requests import Request
from velithon.responses import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    RequestResponseEndpoint = Callable[[Request], Awaitable[Any]]
    DispatchFunction = Callable[[Request, RequestResponseEndpoint], Awaitable[Any]]

__all__ = ["BaseHTTPMiddleware", "Request", "Response"]


class BaseHTTPMiddleware(StarletteBaseHTTPMiddleware):
    """A layer that sees the request before and the response after the rest of the application.

    Args:
        app: The next layer.
        dispatch: `async dispatch(request, call_next) -> Response`; the method of that name when `None`.
    """

    def __init__(self, app: ASGIApp, dispatch: DispatchFunction | None = None) -> None:
        self.app = app
        self.dispatch_func: Any = self.dispatch if dispatch is None else dispatch
        self._face: ASGIApp | None = None

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        """Answer the request, with or without `await call_next(request)`."""
        raise NotImplementedError(f"{type(self).__name__} defines no dispatch(request, call_next).")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run as an ASGI layer, under an application that is not Velithon's."""
        if self._face is None:
            call_next = capture(self.app)

            async def respond(request: Request) -> Any:
                return await self.dispatch_func(request, call_next)

            self._face = asgi_face(respond, otherwise=self.app)
        await self._face(scope, receive, send)


def dispatch_of(layer: Any) -> DispatchFunction | None:
    """Return the dispatch function of a layer that has nothing else to it, whichever base class it comes from."""
    if isinstance(layer, StarletteBaseHTTPMiddleware) and type(layer).__call__ in (
        StarletteBaseHTTPMiddleware.__call__,
        BaseHTTPMiddleware.__call__,
    ):
        dispatch: Any = layer.dispatch_func
        return dispatch  # type: ignore[no-any-return]
    return None
