"""Tracks whether a layer writes a request's access line, in place of the server's."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["is_access_logged", "log_websockets", "mark_access_logged"]

_marked: ContextVar[bool] = ContextVar("velithon.access", default=False)
_websockets = False


def mark_access_logged() -> None:
    """Say that a layer writes the line of the request in this context."""
    _marked.set(True)


def log_websockets() -> None:
    """Say that a layer writes the lines of WebSockets.

    Granian would write its own before any layer sees the handshake.
    """
    global _websockets
    _websockets = True


def is_access_logged(status: int) -> bool:
    """Tell whether a layer writes the line of the request at hand.

    The server would log it with this status.
    """
    return _marked.get() or (_websockets and status == 101)
