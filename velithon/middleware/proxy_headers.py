"""The client and the scheme as a trusted proxy tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware as UvicornProxyHeadersMiddleware

from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests.rsgi import RSGIRequest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ProxyHeadersMiddleware"]

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class ForwardedScope:
    """An RSGI scope with another client and scheme."""

    __slots__ = ("_inner", "client", "scheme")

    def __init__(self, inner: Any, client: str, scheme: str) -> None:
        self._inner = inner
        self.client = client
        self.scheme = scheme

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class ProxyHeadersMiddleware(BaseHTTPMiddleware):
    """Reads `X-Forwarded-For` and `X-Forwarded-Proto`, by Uvicorn's rules.

    Only what trusted hops say counts: the headers are read when the connection comes from a trusted address, and the
    client is the last address in `X-Forwarded-For` that is not trusted itself. Uvicorn does the same by default, for
    127.0.0.1; Granian does not.

    Args:
        app: The next layer.
        trusted_hosts: Addresses and networks (`"10.0.0.0/8"`), in a list or separated by commas; `"*"` trusts all.
    """

    def __init__(self, app: ASGIApp, trusted_hosts: list[str] | str = "127.0.0.1") -> None:
        super().__init__(app)
        self.inner: Any = UvicornProxyHeadersMiddleware(app, trusted_hosts)  # type: ignore[arg-type]
        self.trusted_hosts = self.inner.trusted_hosts

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        """Put the values into the request."""
        client = request.client
        if (None if client is None else client.host) in self.trusted_hosts:
            self._apply(request)
        return await call_next(request)

    def _apply(self, request: Any) -> None:
        headers = request.headers
        address: tuple[str, int] | None = None
        forwarded = headers.getlist("x-forwarded-for")
        if forwarded:
            host, port = self.trusted_hosts.get_trusted_client_address(", ".join(forwarded))
            if host:
                address = (host, port)
        protocols = headers.getlist("x-forwarded-proto")
        scheme = _SCHEMES.get(protocols[-1].strip()) if protocols else None
        if address is None and scheme is None:
            return
        if isinstance(request, RSGIRequest) and request._scope is None:
            inner = request._rsgi
            client = inner.client if address is None else _joined(*address)
            request._rsgi = ForwardedScope(inner, client, scheme or inner.scheme)
            return
        if address is not None:
            request.scope["client"] = address
        if scheme is not None:
            request.scope["scheme"] = scheme

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the values into the scope."""
        await self.inner(scope, receive, send)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
