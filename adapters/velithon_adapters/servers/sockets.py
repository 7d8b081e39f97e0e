"""WebSockets over ASGI that end when their server stops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from velithon_adapters.connection import ClientDisconnected
from velithon_adapters.stopping import stopping

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from velithon_adapters.asgi import ASGIApp, ASGIScope, Message, Receive, Send

__all__ = ["GOING_AWAY", "Stoppable"]

GOING_AWAY = 1001
"""RFC 6455, section 7.4.1: the endpoint is going away, such as a server that stops."""


class Stoppable:
    """An ASGI application, whose WebSockets are closed with 1001 when the server stops.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request, or run a WebSocket or the lifespan."""
        if scope["type"] != "websocket":
            return self.app(scope, receive, send)
        return self._run_websocket(scope, receive, send)

    async def _run_websocket(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        accepted = closed = False
        closing: asyncio.Task[None] | None = None
        task = asyncio.current_task()

        async def watched(message: Message) -> None:
            nonlocal accepted, closed
            if closing is not None:
                raise ClientDisconnected("The server stops.")
            kind = message["type"]
            accepted = accepted or kind == "websocket.accept"
            closed = closed or kind == "websocket.close"
            await send(message)

        async def close() -> None:
            try:
                await send({"type": "websocket.close", "code": GOING_AWAY})
            except (OSError, RuntimeError):
                pass  # the client left, or said so, a moment before

        def stop() -> None:
            nonlocal closing
            if accepted and not closed:
                closing = asyncio.ensure_future(close())

        def give_up() -> None:
            if task is not None:
                task.cancel()

        stopping.at_once.add(stop)
        stopping.streams.add(give_up)
        try:
            await self.app(scope, receive, watched)
        except asyncio.CancelledError:
            if not stopping.active:
                raise
        finally:
            stopping.at_once.discard(stop)
            stopping.streams.discard(give_up)
