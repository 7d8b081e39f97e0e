"""Uvicorn's WebSockets, without a logged error for each refused handshake."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["WebSocketsProtocol"]


class WebSocketsProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's protocol, which takes a refusal by `websocket.http.response` for an answer to the handshake.

    Uvicorn (0.54) sends it and then says that the application "returned without completing handshake".
    """

    async def run_asgi(self) -> None:
        """Run the application."""
        app: Any = self.app

        async def answered(scope: object, receive: object, send: object) -> None:
            await app(scope, receive, send)
            self.handshake_complete = self.handshake_complete or self.close_sent

        self.app = answered
        await super().run_asgi()
