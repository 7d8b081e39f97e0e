"""The WebSocket connection: Starlette's, and one that stands on RSGI alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket as StarletteWebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from velithon.requests.cookies import WithCookies
from velithon_adapters import ASGIWebsocket, ClientDisconnected, rsgi

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from velithon_adapters.connection import Connection

__all__ = ["RSGIWebSocket", "WebSocket", "build_websocket"]

NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006
INTERNAL_ERROR = 1011

# An enumeration's member takes longer to look up than the rest of a message's checks.
_CONNECTED = WebSocketState.CONNECTED
_DISCONNECTED = WebSocketState.DISCONNECTED


class WebSocket(WithCookies, StarletteWebSocket[Any]):
    """A WebSocket connection: Starlette's."""

    # What a class endpoint is about to call: the bound method and the arguments that no signature names.
    _call: tuple[Callable[..., Awaitable[None]], tuple[object, ...]]


class RSGIWebSocket(WebSocket):
    """A WebSocket with nothing between it and RSGI: data takes no detour over ASGI's messages.

    This goes for data while both sides are connected. All else is Starlette's, as is everything once somebody put
    something of their own in the place of a method.

    Args:
        scope: The ASGI scope.
        server: What carries ASGI's messages.
    """

    def __init__(self, scope: Scope, server: ASGIWebsocket) -> None:
        super().__init__(scope, server.receive, server.send)
        self._server = server
        self._connection: Connection | None = server.connection

    def __setattr__(self, name: str, value: object) -> None:
        """Take the way over ASGI's messages from here on, should this be in the place of one of its steps."""
        if name in _STEPS:
            self._connection = None
        super().__setattr__(name, value)

    async def receive_text(self) -> str:
        """Return the next message; see Starlette's, as with all of these methods."""
        connection = self._connection
        if connection is None or self.application_state is not _CONNECTED or self.client_state is not _CONNECTED:
            return await super().receive_text()
        data = await connection
        return data if isinstance(data, str) else self._raise_for_other_data(data, "text")

    async def receive_bytes(self) -> bytes:
        """Return the next message."""
        connection = self._connection
        if connection is None or self.application_state is not _CONNECTED or self.client_state is not _CONNECTED:
            return await super().receive_bytes()
        data = await connection
        return data if isinstance(data, bytes) else self._raise_for_other_data(data, "bytes")

    async def receive_json(self, mode: str = "text") -> Any:
        """Return what the next message says."""
        if self._connection is None or mode not in ("text", "binary"):
            return await super().receive_json(mode)
        return json.loads(await self.receive_text() if mode == "text" else (await self.receive_bytes()).decode())

    async def send_text(self, data: str) -> None:
        """Send a message."""
        connection = self._connection
        if connection is None or self.application_state is not _CONNECTED:
            await super().send_text(data)
            return
        try:
            await connection.outgoing().send_str(data)
        except (ClientDisconnected, rsgi.ProtocolClosed, rsgi.ProtocolError) as exc:
            raise self._build_disconnect() from exc

    async def send_bytes(self, data: bytes) -> None:
        """Send a message."""
        connection = self._connection
        if connection is None or self.application_state is not _CONNECTED:
            await super().send_bytes(data)
            return
        try:
            await connection.outgoing().send_bytes(data)
        except (ClientDisconnected, rsgi.ProtocolClosed, rsgi.ProtocolError) as exc:
            raise self._build_disconnect() from exc

    def _build_disconnect(self) -> WebSocketDisconnect:
        """Return what to raise when the client is gone."""
        self._server.connection.lost()
        self.application_state = _DISCONNECTED
        return WebSocketDisconnect(code=ABNORMAL_CLOSURE)

    def _raise_for_other_data(self, data: bytes | str | None, wanted: str) -> Any:
        """Raise what Starlette raises for such a message."""
        if data is None:
            self.client_state = _DISCONNECTED
        message = self._server.message(data)
        self._raise_on_disconnect(message)
        return message[wanted]


# What the methods above go around.
_STEPS = frozenset(("_receive", "_send", "receive", "receive_bytes", "receive_text", "send", "send_bytes", "send_text"))


def build_websocket(scope: Scope, receive: Receive, send: Send) -> WebSocket:
    """Return the WebSocket over what a face gave, on the shortest way that there is."""
    server = ASGIWebsocket.of(receive, send)
    return WebSocket(scope, receive, send) if server is None else RSGIWebSocket(scope, server)
