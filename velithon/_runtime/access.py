"""Whether a layer writes the access line of the request at hand, so that the server leaves its own out."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["is_access_logged", "log_websockets", "mark_access_logged"]

_marked: ContextVar[bool] = ContextVar("velithon.access", default=False)
_websockets = False


def mark_access_logged() -> None:
    """Say that a layer writes the line of the request in this context."""
    _marked.set(True)


def log_websockets() -> None:
    """Say that a layer writes the lines of WebSockets: Granian writes its own before any layer sees the handshake."""
    global _websockets
    _websockets = True


def is_access_logged(status: int) -> bool:
    """Tell whether a layer writes the line of a request that the server logs with this status."""
    return _marked.get() or (_websockets and status == 101)
