"""Redirecting plain HTTP to HTTPS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware as StarletteHTTPSRedirectMiddleware

from velithon.middleware.base import BaseHTTPMiddleware
from velithon.responses.base import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["HTTPSRedirectMiddleware"]


class HTTPSRedirectMiddleware(BaseHTTPMiddleware, StarletteHTTPSRedirectMiddleware):
    """Answers `http` and `ws` with a redirect (307) to `https` and `wss`.

    Behind a proxy that ends TLS, put `ProxyHeadersMiddleware` around it.
    """

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Let what came over TLS through."""
        if request._scheme != "http":
            return await call_next(request)
        url = request.url
        if not url.netloc:
            return PlainTextResponse("Invalid host header", status_code=400)
        netloc = url.hostname if url.port in (80, 443) else url.netloc
        return RedirectResponse(url.replace(scheme="https", netloc=netloc))

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let what came over TLS through."""
        await StarletteHTTPSRedirectMiddleware.__call__(self, scope, receive, send)
