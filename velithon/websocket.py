"""WebSockets: the connection, and class endpoints for it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from starlette.endpoints import WebSocketEndpoint as StarletteWebSocketEndpoint
from starlette.websockets import WebSocket as StarletteWebSocket
from starlette.websockets import WebSocketClose, WebSocketDisconnect, WebSocketState

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["WebSocket", "WebSocketClose", "WebSocketDisconnect", "WebSocketEndpoint", "WebSocketState"]


class WebSocket(StarletteWebSocket):
    """A WebSocket connection: Starlette's."""


class WebSocketEndpoint(StarletteWebSocketEndpoint):
    """Base of class endpoints for WebSockets: override `on_connect`, `on_receive` and `on_disconnect` as needed.

    `on_disconnect` may take the close code or leave it out. `encoding` is `"text"`, `"bytes"`, `"json"` or `None`, which
    takes what comes.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        if not _takes_close_code(type(self)):
            disconnected: Any = self.on_disconnect

            async def on_disconnect(websocket: StarletteWebSocket, close_code: int) -> None:
                await disconnected(websocket)

            self.on_disconnect = on_disconnect  # type: ignore[method-assign]


def _takes_close_code(cls: type[WebSocketEndpoint]) -> bool:
    parameters = inspect.signature(cls.on_disconnect).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 2 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
