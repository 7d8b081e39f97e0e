"""Refusing the handshakes of pages from other origins (RFC 6455, section 10.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["allow_origins"]


def allow_origins(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Return a WebSocket application that refuses handshakes of pages from other origins, with 403.

    Browsers send cookies along with a handshake to any site and always name the page's origin: this is what keeps other
    sites' pages out (RFC 6455 10.2). A handshake without `Origin` comes from no browser, and is let through.

    Args:
        app: The application.
        origins: Such as `https://example.org`; `*` allows all.

    Raises:
        ValueError: Something else was given.
    """
    if isinstance(origins, str):
        raise ValueError(f"allowed_origins takes a list of origins, not {origins!r}.")
    allowed = {origin.lower() for origin in origins}
    for origin in allowed:
        if origin not in ("*", "null") and ("://" not in origin or "/" in origin.partition("://")[2]):
            raise ValueError(f"An origin looks like 'https://example.org', without a path: got {origin!r}.")

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        if origin is None or "*" in allowed or origin.decode("latin-1").lower() in allowed:
            await app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": "origin not allowed"})

    return guarded
