"""What an ASGI server does when an application returns and has not ended its WebSocket."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["end_websockets"]

logger = logging.getLogger("velithon.testclient")

ABNORMAL_CLOSURE = 1006
_ENDS = frozenset({"websocket.close", "websocket.http.response.start"})


def end_websockets(app: ASGIApp) -> ASGIApp:
    """Return an application whose WebSockets end when it returns.

    So it is on Uvicorn, and no test waits for ever.

    The client sees 1006 where the handshake was accepted, and a 500 where it was not answered.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await app(scope, receive, send)
            return
        is_accepted = is_over = False

        async def watched(message: Message) -> None:
            nonlocal is_accepted, is_over
            is_accepted = is_accepted or message["type"] == "websocket.accept"
            is_over = is_over or message["type"] in _ENDS
            await send(message)

        async def watched_receive() -> Message:
            nonlocal is_over
            message = await receive()
            is_over = is_over or message["type"] == "websocket.disconnect"
            return message

        await app(scope, watched_receive, watched)
        if is_over:
            return
        if is_accepted:
            await send({"type": "websocket.close", "code": ABNORMAL_CLOSURE, "reason": ""})
            return
        logger.error("ASGI callable returned without completing handshake.")
        await send({"type": "websocket.http.response.start", "status": 500, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"", "more_body": False})

    return serve
