"""The client, the scheme, the host and the prefix as trusted proxies tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests.rsgi import RSGIRequest
from velithon_adapters.forwarded import (
    ForwardedScope,
    TrustedProxies,
    apply_forwarded,
    is_trusted_asgi,
    is_trusted_rsgi,
)
from velithon_adapters.scope import RSGIHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["ProxyHeadersMiddleware"]


class ProxyHeadersMiddleware(BaseHTTPMiddleware):
    """Reads `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, or else `Forwarded` (RFC 7239), of trusted proxies.

    The headers are read when the connection comes from a trusted address, and the client is the last address in them
    that is not trusted itself. `velithon run --forwarded-allow-ips` does the same for the whole application.

    Args:
        app: The next layer.
        trusted_hosts: Addresses and networks (`"10.0.0.0/8"`), in a list or separated by commas; `"unix"` trusts who
            connects over a UNIX socket, `"*"` everybody.

    Raises:
        ValueError: A network is none.
    """

    def __init__(self, app: ASGIApp, trusted_hosts: list[str] | str = "127.0.0.1") -> None:
        super().__init__(app)
        self.trusted_hosts = TrustedProxies(trusted_hosts)

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Put the values into the request."""
        if isinstance(request, RSGIRequest) and request._scope is None:
            inner = request._rsgi
            if is_trusted_rsgi(inner, self.trusted_hosts):
                request._rsgi = ForwardedScope(inner, self.trusted_hosts.read(inner.headers.get_all))
        else:
            self._apply(request.scope)
        # What a layer outside has read is kept with the request.
        for kept in ("_headers", "_url", "_base_url"):
            request.__dict__.pop(kept, None)
        return await call_next(request)

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the values into the scope."""
        self._apply(scope)
        await self.app(scope, receive, send)

    def _apply(self, scope: Scope) -> None:
        if is_trusted_asgi(scope, self.trusted_hosts):
            apply_forwarded(scope, self.trusted_hosts.read(RSGIHeaders(scope["headers"]).get_all))
