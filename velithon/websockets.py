"""FastAPI's name for `velithon.websocket`."""

from __future__ import annotations

from starlette.websockets import WebSocketState

from velithon.websocket import WebSocket, WebSocketDisconnect

__all__ = ["WebSocket", "WebSocketDisconnect", "WebSocketState"]
