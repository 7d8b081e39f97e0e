"""Refusing requests for hosts that the application does not serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.trustedhost import ENFORCE_DOMAIN_WILDCARD
from starlette.middleware.trustedhost import TrustedHostMiddleware as StarletteTrustedHostMiddleware

from velithon._compat.starlette import parse_host_header
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.responses.base import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["TrustedHostMiddleware"]


class TrustedHostMiddleware(BaseHTTPMiddleware, StarletteTrustedHostMiddleware):
    """Answers 400 where the `Host` header names none of the allowed hosts, to WebSockets too.

    Args:
        app: The next layer.
        allowed_hosts: Names, without ports; `*.example.org` allows every subdomain, `*` everything. All by default.
        www_redirect: Whether `example.org` is redirected where only `www.example.org` is allowed.

    Raises:
        ValueError: A pattern has a `*` elsewhere.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str] | None = None, www_redirect: bool = True) -> None:
        for pattern in allowed_hosts or ():
            if "*" in pattern[1:] or (pattern.startswith("*") and pattern != "*" and not pattern.startswith("*.")):
                raise ValueError(f"{ENFORCE_DOMAIN_WILDCARD} Got {pattern!r}.")
        StarletteTrustedHostMiddleware.__init__(self, app, allowed_hosts, www_redirect)
        BaseHTTPMiddleware.__init__(self, app)

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Let a request for an allowed host through."""
        if self.allow_any:
            return await call_next(request)
        parsed = parse_host_header(request.headers.get("host"))
        if parsed is None:
            return PlainTextResponse("Invalid host header", status_code=400)
        host = parsed.host.lower()
        redirect = False
        for pattern in self.allowed_hosts:
            if host == pattern or (pattern.startswith("*") and host.endswith(pattern[1:])):
                return await call_next(request)
            redirect = redirect or f"www.{host}" == pattern
        if redirect and self.www_redirect:
            url = request.url
            return RedirectResponse(url.replace(netloc=f"www.{url.netloc}"))
        return PlainTextResponse("Invalid host header", status_code=400)

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a WebSocket for an allowed host through."""
        await StarletteTrustedHostMiddleware.__call__(self, scope, receive, send)
