"""WebSockets: the connection, class endpoints, heartbeats and the check of origins.

`WebSocket` is Starlette's own class, so that packages that look for it in a signature find it. Endpoints get a
subclass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.websockets import WebSocket, WebSocketClose, WebSocketDisconnect, WebSocketState

from velithon._runtime.lazy import lazy_attributes
from velithon.websocket.endpoint import WebSocketEndpoint

if TYPE_CHECKING:
    from velithon.websocket.heartbeat import Heartbeat

__all__ = ["Heartbeat", "WebSocket", "WebSocketClose", "WebSocketDisconnect", "WebSocketEndpoint", "WebSocketState"]

if not TYPE_CHECKING:
    # Kept out of the import of an application that does not use it.
    __getattr__, __dir__ = lazy_attributes(__name__, {"Heartbeat": "velithon.websocket.heartbeat"})
