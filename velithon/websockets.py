"""FastAPI's name for `velithon.websocket`."""

from __future__ import annotations

from starlette.websockets import WebSocketDisconnect, WebSocketState

from velithon.websocket.connection import WebSocket

__all__ = ["WebSocket", "WebSocketDisconnect", "WebSocketState"]
