"""Answering the handshake of a WebSocket whose application failed, or ended, before it did.

Servers differ in what they make of it, from 403 without a word to 500. Here it is 500 on each, and one exception that
the server logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon.exceptions import VelithonError
from velithon_adapters import ASGIWebsocket
from velithon_adapters.scope import HANDSHAKE_STATUS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["refuse_unanswered"]

# In the scope: somebody further out answers.
_OUTSIDE = "velithon.refusal"
_STATUS = frozenset({"websocket.http.response", HANDSHAKE_STATUS})

_START: Message = {
    "type": "websocket.http.response.start",
    "status": 500,
    "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")],
}
_BODY: Message = {"type": "websocket.http.response.body", "body": b"Internal Server Error"}


async def refuse_unanswered(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run an application's WebSocket; answer with 500 a handshake that it leaves unanswered.

    Raises:
        BaseException: What the application raised.
        VelithonError: It returned without an answer.
    """
    if _OUTSIDE in scope:  # of an application inside another, whose handlers may have an answer
        await app(scope, receive, send)
        return
    scope[_OUTSIDE] = True
    seen, is_answered = _watch(receive, send)
    try:
        await app(scope, receive, seen)
    except (Exception, SystemExit, KeyboardInterrupt):
        if not is_answered():
            await _refuse(scope, send)
        raise
    if not is_answered() and await _refuse(scope, send):
        raise VelithonError(
            f"{_describe(scope.get('endpoint'))} returned without accepting or refusing its WebSocket: "
            "call `await websocket.accept()` or `await websocket.close()`."
        )


def _watch(receive: Receive, send: Send) -> tuple[Send, Callable[[], bool]]:
    """Return a `send`, and what tells whether anything was sent by it."""
    server = ASGIWebsocket.of(receive, send)
    if server is not None:
        # What stands on RSGI alone goes past `send`, and by that it is found.
        return send, lambda: server.started
    is_answered = False

    def watched(message: Message) -> Awaitable[None]:
        nonlocal is_answered
        is_answered = True
        return send(message)

    return watched, lambda: is_answered


async def _refuse(scope: Scope, send: Send) -> bool:
    """Answer the handshake with 500; tell whether that could be done."""
    if not _STATUS & set(scope.get("extensions") or ()):
        return False
    try:
        await send(_START)
        await send(_BODY)
    except (RuntimeError, OSError):  # the client left
        return False
    return True


def _describe(endpoint: object) -> str:
    if endpoint is None:
        return "The application"
    return f"{endpoint.__module__}.{getattr(endpoint, '__qualname__', type(endpoint).__name__)}"
