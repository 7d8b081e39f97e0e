"""Middleware with one method, `dispatch(request, call_next)`, that works on both protocols.

Inside an application such a layer costs one call: `call_next` is the next responder itself, so the layer runs in the
caller's task, context variables survive, and the response comes back before any of it was sent. Under another ASGI
application it works as Starlette's does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from starlette.middleware.base import BaseHTTPMiddleware as StarletteBaseHTTPMiddleware

from velithon.faces.capture import build_call_next, capture
from velithon.faces.serve import build_asgi_app
from velithon.requests.request import Request
from velithon.responses.base import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    class Base:
        """Says of Starlette's class only what `dispatch` methods may differ in: theirs take our requests."""

        app: ASGIApp
        dispatch_func: DispatchFunction

    CallNext = Callable[[Request], Awaitable[Response]]
    # Users' methods may take Starlette's requests and return Starlette's responses.
    RequestResponseEndpoint = Callable[[Any], Awaitable[Any]]
    DispatchFunction = Callable[[Request, RequestResponseEndpoint], Awaitable[Any]]
else:
    Base = StarletteBaseHTTPMiddleware

__all__ = ["BaseHTTPMiddleware", "Request", "Response"]


class BaseHTTPMiddleware(Base):
    """A layer that sees the request before, and the response after, the application runs.

    Args:
        app: The next layer.
        dispatch: `async dispatch(request, call_next) -> Response`; the method of that name when `None`.
    """

    takes_responder: ClassVar[bool] = False
    """Whether `dispatch` is given the next layer as it is, which saves a call.

    Such a layer reads no body, and calls `velithon.faces.capture.as_response` on what comes back.
    """

    def __init__(self, app: ASGIApp, dispatch: DispatchFunction | None = None) -> None:
        self.app = app
        self.dispatch_func: DispatchFunction = self.dispatch if dispatch is None else dispatch

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Any:
        """Answer the request, with or without `await call_next(request)`.

        What `call_next` returns is a `velithon.responses.Response` of which nothing was sent yet.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no dispatch(request, call_next).")

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a WebSocket, as an ASGI layer does; by default it goes on to `self.app`."""
        await self.app(scope, receive, send)

    # The ASGI layer in place of `dispatch` under an application that is not Velithon's, where Starlette has one.
    _run_as_asgi: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run as an ASGI layer, under an application that is not Velithon's."""
        if scope["type"] == "http" and self._run_as_asgi is not None:
            await self._run_as_asgi(scope, receive, send)
        elif scope["type"] == "http":
            dispatch, call_next = self.dispatch_func, build_call_next(capture(self.app))

            def respond(request: Request) -> Awaitable[object]:
                return dispatch(request, call_next)

            await build_asgi_app(respond)(scope, receive, send)
        elif scope["type"] == "websocket":
            await self.dispatch_websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def get_dispatch(layer: object) -> DispatchFunction | None:
    """Return a layer's dispatch function if the layer consists of nothing else.

    Its base class may be Starlette's or ours. `None` if the layer has an ASGI form of its own.
    """
    if isinstance(layer, StarletteBaseHTTPMiddleware) and type(layer).__call__ in (
        StarletteBaseHTTPMiddleware.__call__,
        BaseHTTPMiddleware.__call__,
    ):
        return layer.dispatch_func
    return None
