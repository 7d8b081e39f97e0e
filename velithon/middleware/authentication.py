"""Authentication by a backend, as Starlette has it: `request.user`, `request.auth`, `requires`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
    requires,
)
from starlette.middleware.authentication import AuthenticationMiddleware as StarletteAuthenticationMiddleware

from velithon.middleware.base import BaseHTTPMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import HTTPConnection
    from starlette.responses import Response as StarletteResponse
    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request

__all__ = [
    "AuthCredentials",
    "AuthenticationBackend",
    "AuthenticationError",
    "AuthenticationMiddleware",
    "BaseUser",
    "SimpleUser",
    "UnauthenticatedUser",
    "requires",
]


class AuthenticationMiddleware(BaseHTTPMiddleware, StarletteAuthenticationMiddleware):
    """Asks a backend who is there.

    Args:
        app: The next layer.
        backend: `async authenticate(connection)` returns credentials and a user, `None` for nobody, or raises
            `AuthenticationError`.
        on_error: Makes the response of such an error; 400 with its text by default. WebSockets are refused.
    """

    def __init__(
        self,
        app: ASGIApp,
        backend: AuthenticationBackend,
        on_error: Callable[[HTTPConnection, AuthenticationError], StarletteResponse] | None = None,
    ) -> None:
        StarletteAuthenticationMiddleware.__init__(self, app, backend, on_error)
        BaseHTTPMiddleware.__init__(self, app)

    async def dispatch(self, request: Request, call_next: CallNext) -> StarletteResponse:
        """Put credentials and user into the request."""
        try:
            found = await self.backend.authenticate(request)
        except AuthenticationError as exc:
            return self.on_error(request, exc)
        request.scope["auth"], request.scope["user"] = found or (AuthCredentials(), UnauthenticatedUser())
        return await call_next(request)

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put credentials and user into the scope."""
        await StarletteAuthenticationMiddleware.__call__(self, scope, receive, send)
