"""WebSockets carried both ways.

RSGI's ``accept`` takes neither a subprotocol nor headers, its close frames carry no code, and it tells neither of a
client's code nor, to who only sends, of a client's leaving. `ASGIWebsocket` says so where it matters.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from velithon_adapters import rsgi
from velithon_adapters.connection import ABNORMAL_CLOSURE, NO_STATUS, ClientDisconnected, Connection
from velithon_adapters.scope import HANDSHAKE_STATUS
from velithon_adapters.sending import Sending

if TYPE_CHECKING:
    from types import TracebackType

    from velithon_adapters.asgi import ASGIScope, Message, Receive, Send
    from velithon_adapters.rsgi import WebsocketProtocol

__all__ = ["ASGIWebsocket", "ClientDisconnected", "RSGIWebsocketProtocol", "RSGIWebsocketTransport"]

logger = logging.getLogger("velithon_adapters")

# RFC 6455 7.4.1
NORMAL_CLOSURE = 1000
GOING_AWAY = 1001

_KIND_CLOSE = 0
_KIND_BYTES = 1
_KIND_STRING = 2

_told_of_close_codes = False


def _warn_of_close_code(code: int) -> None:
    global _told_of_close_codes
    if not _told_of_close_codes:
        _told_of_close_codes = True
        logger.warning(
            "A WebSocket was closed with code %d. RSGI's close frames carry neither code nor reason: clients see 1005. "
            "Granian's `--interface asgi` carries both. This is said once.",
            code,
        )


class ASGIWebsocket(Sending):
    """ASGI's ``receive`` and ``send`` for a WebSocket over an RSGI protocol.

    Run the application inside of it, as a context manager: leaving it closes what the application left open. A
    handshake that was not answered is refused with 500.

    Args:
        protocol: The server's protocol object.

    Attributes:
        accepted: Whether the handshake was accepted.
        connection: The same in plain data, for who is inside and knows that nothing is in between (`of`).
    """

    __slots__ = ("_connected", "_refused", "accepted", "connection", "protocol")

    def __init__(self, protocol: WebsocketProtocol) -> None:
        self.protocol = protocol
        self.connection = Connection()
        self.accepted = False
        self._connected = False
        self._refused = False

    @classmethod
    def of(cls, receive: Receive, send: Send) -> ASGIWebsocket | None:
        """Return whose ``receive`` and ``send`` these are.

        ``None`` when anything took the place of one of them.
        """
        owner = getattr(receive, "__self__", None)
        if type(owner) is cls and receive == owner.receive and send == owner.send:
            return owner
        return None

    async def receive(self) -> Message:
        """Return the next message; after the end, ``websocket.disconnect`` again and again.

        Raises:
            RuntimeError: Another task is receiving.
        """
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        return self.message(await self.connection)

    def message(self, data: bytes | str | None) -> Message:
        """Return the message for what the connection gave."""
        if data is None:
            return {"type": "websocket.disconnect", "code": self.connection.code, "reason": ""}
        return {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}

    async def send(self, message: Message) -> None:
        """Take the next message.

        Raises:
            ClientDisconnected: The client is gone.
            RuntimeError: The message is out of order, or asks for what RSGI cannot carry.
        """
        kind = message["type"]
        if self._refused:
            if kind == "websocket.http.response.body":
                return
            raise RuntimeError(f"Unexpected ASGI message '{kind}', after sending 'websocket.close'.")
        if self.connection.code is not None:
            if kind == "websocket.close" and self.accepted:
                # Nothing is left to be told, and who cleans up after a disconnect need not know of it.
                self._refused = True
                self.connection.drop()
                return
            raise ClientDisconnected("The client is gone.")
        if not self.accepted:
            await self._answer_handshake(kind, message)
        elif kind == "websocket.send":
            await self._send(message)
        elif kind == "websocket.close":
            code = message.get("code", NORMAL_CLOSURE)
            if code not in (NORMAL_CLOSURE, NO_STATUS) or message.get("reason"):
                _warn_of_close_code(code)
            self._close(code)
        else:
            raise RuntimeError(f"Expected ASGI message 'websocket.send' or 'websocket.close', but got '{kind}'.")

    def close(self) -> None:
        """Say that the server stops: who receives is told ``websocket.disconnect``, who sends gets an exception."""
        if self.connection.code is None:
            self.connection.over(GOING_AWAY)
            if self.accepted:
                self.protocol.close()
                self.connection.drop()

    @property
    def started(self) -> bool:  # type: ignore[override] # read only: it follows from what was sent
        """Whether the handshake was answered."""
        return self.accepted or self._refused

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close what the application left open."""
        if error is None and not self.accepted and self.connection.code is None:
            logger.error("ASGI callable returned without completing handshake.")
        if self.connection.code is None:
            if self.accepted:
                self._close(NORMAL_CLOSURE)
            else:
                self.protocol.close(500)
                self.connection.over(ABNORMAL_CLOSURE)
        # The frames of an exception may keep this object.
        self.connection.drop()

    async def _answer_handshake(self, kind: str, message: Message) -> None:
        if kind == "websocket.close":
            self._refuse(403)
            return
        if kind == "websocket.http.response.start" and 200 <= message["status"] <= 599:
            # RSGI carries the status of a denial response; its headers and body are dropped.
            self._refuse(message["status"])
            return
        if kind != "websocket.accept":
            raise RuntimeError(f"Expected ASGI message 'websocket.accept' or 'websocket.close', but got '{kind}'.")
        for what, value in (("a subprotocol", message.get("subprotocol")), ("headers", message.get("headers"))):
            if value:
                raise RuntimeError(
                    f"RSGI cannot carry {what} in the answer to a WebSocket handshake ({value!r} given to accept). "
                    "Run the application with Granian's `--interface asgi`."
                )
        try:
            transport = await self.protocol.accept()
        except (rsgi.ProtocolClosed, rsgi.ProtocolError) as exc:
            self.connection.over(ABNORMAL_CLOSURE)
            raise ClientDisconnected("The client is gone.") from exc
        self.accepted = True
        self.connection.accepted(transport)

    async def _send(self, message: Message) -> None:
        transport = self.connection.outgoing()
        try:
            if (data := message.get("bytes")) is not None:
                await transport.send_bytes(data)
            elif (text := message.get("text")) is not None:
                await transport.send_str(text)
        except (rsgi.ProtocolClosed, rsgi.ProtocolError) as exc:
            raise self.connection.lost() from exc

    def _refuse(self, status: int) -> None:
        self._refused = True
        self.protocol.close(status)
        self.connection.over(ABNORMAL_CLOSURE)

    def _close(self, code: int) -> None:
        self._refused = True
        self.connection.over(code)
        self.protocol.close()
        # Else the client would learn of it when the application returns.
        self.connection.drop()


class RSGIMessage:
    """A message from a WebSocket's client, as RSGI shows it."""

    __slots__ = ("data", "kind")

    def __init__(self, kind: int, data: bytes | str | None) -> None:
        self.kind = kind
        self.data = data

    def __repr__(self) -> str:
        """Show kind and data."""
        return f"{type(self).__name__}({self.kind!r}, {self.data!r})"


class RSGIWebsocketProtocol(Sending):
    """RSGI's protocol for a WebSocket over ASGI's ``receive`` and ``send``.

    Run the application inside of it, as a context manager: leaving it closes what the application left open.

    Args:
        scope: The ASGI scope, whose extensions matter.
        receive: The server's ``receive``.
        send: The server's ``send``.
    """

    __slots__ = ("_connected", "_pending", "_receive", "_scope", "_send", "_tasks", "_transport", "closed")

    def __init__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        self.closed = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connected = False
        self._transport: RSGIWebsocketTransport | None = None
        self._pending: list[Message] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def accept(self) -> RSGIWebsocketTransport:
        """Accept the handshake.

        Raises:
            ProtocolError: It was already accepted or refused.
            ProtocolClosed: The client is gone.
        """
        if self.closed or self._transport is not None:
            raise rsgi.ProtocolError("The handshake was already answered.")
        transport = self._transport = RSGIWebsocketTransport(self)
        await self._connect()
        await self._deliver({"type": "websocket.accept"})
        if transport.gone:
            raise rsgi.ProtocolClosed("The client is gone.")
        return transport

    def close(self, status: int | None = None) -> None:
        """Refuse the handshake with an HTTP status (403 when ``None``), or close the accepted connection.

        A status other than 403 takes a server with the ``websocket.http.response`` extension, or an RSGI server below
        (`HANDSHAKE_STATUS`); elsewhere it is 403, too.

        Raises:
            ValueError: The status is outside 200 to 599.
        """
        if self.closed:
            return
        if self._transport is not None:
            self._pending = [] if self._transport.gone else [{"type": "websocket.close", "code": NORMAL_CLOSURE}]
        elif status in (None, 403) or not {"websocket.http.response", HANDSHAKE_STATUS} & set(
            self._scope.get("extensions") or ()
        ):
            self._pending = [{"type": "websocket.close"}]
        else:
            if not 200 <= status <= 599:
                raise ValueError(f"A refused handshake's status must be from 200 to 599, not {status}.")
            self._pending = [
                {"type": "websocket.http.response.start", "status": status, "headers": [(b"content-length", b"0")]},
                {"type": "websocket.http.response.body", "body": b"", "more_body": False},
            ]
        self.closed = True
        self._tasks.append(asyncio.get_running_loop().create_task(self._flush()))

    @property
    def started(self) -> bool:  # type: ignore[override] # read only: it follows from what was sent
        """Whether the handshake was answered."""
        return self.closed or self._transport is not None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send what is still to be sent, and close what the application left open."""
        self.close()
        for task in self._tasks:
            await task

    async def _connect(self) -> None:
        if not self._connected:
            self._connected = True
            message = await self._receive()
            if message["type"] != "websocket.connect" and self._transport is not None:
                self._transport.gone = True

    async def _flush(self) -> None:
        await self._connect()
        for message in self._pending:
            await self._deliver(message)

    async def _deliver(self, message: Message) -> None:
        if self._transport is not None and self._transport.gone:
            return
        try:
            await self._send(message)
        except OSError:
            if self._transport is not None:
                self._transport.gone = True


class RSGIWebsocketTransport:
    """An accepted WebSocket, over ASGI."""

    __slots__ = ("_protocol", "_close_received", "gone")

    def __init__(self, protocol: RSGIWebsocketProtocol) -> None:
        self.gone = False
        self._protocol = protocol
        self._close_received = False

    async def receive(self) -> RSGIMessage:
        """Wait for the next message; the end comes as one of kind ``close``, once.

        Raises:
            ProtocolClosed: The close was already received.
        """
        if self._close_received:
            raise rsgi.ProtocolClosed("The connection is closed.")
        message: Message = {} if self.gone else await self._protocol._receive()
        if message.get("type") == "websocket.receive":
            data = message.get("bytes")
            if data is not None:
                return RSGIMessage(_KIND_BYTES, data)
            return RSGIMessage(_KIND_STRING, message["text"])
        self.gone = self._close_received = True
        return RSGIMessage(_KIND_CLOSE, None)

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message.

        Raises:
            ProtocolClosed: The client is gone.
            ProtocolError: The application closed the connection.
        """
        await self._send_message({"type": "websocket.send", "bytes": bytes(data)})

    async def send_str(self, data: str) -> None:
        """Send a text message; raises as `send_bytes` does."""
        await self._send_message({"type": "websocket.send", "text": data})

    async def _send_message(self, message: Message) -> None:
        protocol = self._protocol
        if protocol.closed:
            raise rsgi.ProtocolError("The connection was closed by the application.")
        await protocol._deliver(message)
        if self.gone:
            raise rsgi.ProtocolClosed("The client is gone.")
