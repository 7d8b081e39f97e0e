"""A WebSocket over RSGI in memory, behind Starlette's test session."""

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self

import anyio
import anyio.abc
from anyio.from_thread import BlockingPortal
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
from starlette.types import Message

from velithon.testclient.memory import RSGIMisuseError, Scope, _Done, _require_bytes, _require_status, _require_text
from velithon_adapters.rsgi import ProtocolClosed, ProtocolError, RSGICallable

# how long an application may take to end after its client left, in seconds
GRACE = 2.0

_CLOSE, _BYTES, _TEXT = 0, 1, 2
# RFC 6455, section 7.1.5: what each side sees when a close frame carries no code, and when there was no close frame
_NO_CODE, _ABNORMAL = 1005, 1006


@dataclass(frozen=True, slots=True)
class WebSocketMessage:
    """One incoming message: kind 0 is the end, 1 is binary, 2 is text."""

    kind: int
    data: bytes | str | None


class WebSocketTransport:
    """An accepted WebSocket, as RSGI hands it to the application."""

    def __init__(self, incoming: MemoryObjectReceiveStream[Message], outgoing: MemoryObjectSendStream[Message]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self.closed_here = False
        self.closed_there = False

    async def receive(self) -> WebSocketMessage:
        """Wait for a message.

        Raises:
            granian.rsgi.ProtocolClosed: The end was delivered already.
        """
        if self.closed_there:
            raise ProtocolClosed("RSGI transport is closed")
        message = {"type": "websocket.disconnect"} if self.closed_here else await self._incoming.receive()
        if message["type"] == "websocket.disconnect":
            self.closed_there = True
            return WebSocketMessage(_CLOSE, None)
        text = message.get("text")
        return WebSocketMessage(_BYTES, message["bytes"]) if text is None else WebSocketMessage(_TEXT, text)

    def send_bytes(self, data: bytes) -> Awaitable[None]:
        """Send a binary message.

        Raises:
            TypeError: The data is not bytes.
            granian.rsgi.ProtocolError: The application closed the WebSocket.
            granian.rsgi.ProtocolClosed: The client left.
        """
        return self._send({"type": "websocket.send", "bytes": _require_bytes(data)})

    def send_str(self, data: str) -> Awaitable[None]:
        """Send a text message.

        Raises:
            TypeError: The data is not a string.
            granian.rsgi.ProtocolError: The application closed the WebSocket.
            granian.rsgi.ProtocolClosed: The client left.
        """
        return self._send({"type": "websocket.send", "text": _require_text(data)})

    def _send(self, message: Message) -> Awaitable[None]:
        if self.closed_here:
            raise ProtocolError("RSGI protocol error")
        if self.closed_there:
            raise ProtocolClosed("RSGI transport is closed")
        self._outgoing.send_nowait(message)
        return _Done()

    def close(self) -> None:
        """Send a close frame, once; RSGI gives it no code."""
        if not self.closed_here and not self.closed_there:
            self._outgoing.send_nowait({"type": "websocket.close", "code": _NO_CODE})
        self.closed_here = True


class WebSocketProtocol:
    """RSGI's protocol object for one WebSocket, before and after it is accepted."""

    def __init__(self, incoming: MemoryObjectReceiveStream[Message], outgoing: MemoryObjectSendStream[Message]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._transport: WebSocketTransport | None = None
        self._refused = False

    async def accept(self) -> WebSocketTransport:
        """Complete the handshake.

        Raises:
            RSGIMisuseError: It was accepted before, which ends Granian's worker process.
            granian.rsgi.ProtocolError: It was refused before.
        """
        if self._transport is not None:
            raise RSGIMisuseError("accept() was called twice, which ends Granian's worker process")
        if self._refused:
            raise ProtocolError("RSGI protocol error")
        self._transport = WebSocketTransport(self._incoming, self._outgoing)
        await self._incoming.receive()  # websocket.connect
        self._outgoing.send_nowait({"type": "websocket.accept"})
        return self._transport

    def close(self, status: int | None = None) -> None:
        """Refuse the handshake with an HTTP status, by default 403, or close what was accepted.

        Raises:
            TypeError: The status is not an integer.
            RSGIMisuseError: The status is none of HTTP, which ends Granian's worker process when nothing was accepted.
        """
        checked = 403 if status is None else _require_status(status)
        if self._transport is not None:
            self._transport.close()
        elif not self._refused:
            if not 100 <= checked <= 999:
                raise RSGIMisuseError(f"close({checked}): an HTTP status is meant, Granian's worker process ends")
            self._refused = True
            self._outgoing.send_nowait({"type": "websocket.http.response.start", "status": checked, "headers": []})
            self._outgoing.send_nowait({"type": "websocket.http.response.body", "body": b""})


class RSGIWebSocketTestSession(WebSocketTestSession):
    """Starlette's session with an RSGI application at its other end.

    The application sees what Granian shows it: no close code of the client, no say in the subprotocol. The client sees
    an `WebSocketDenialResponse` when it was refused, 1005 as the code of a close.

    Args:
        app: The application's RSGI callable.
        scope: The handshake's scope.
        portal_factory: Gives a portal into the application's loop.
    """

    def __init__(
        self,
        app: RSGICallable,
        scope: Scope,
        portal_factory: Callable[[], AbstractContextManager[BlockingPortal]],
    ) -> None:
        super().__init__(app, {}, portal_factory)  # type: ignore[arg-type] # only this class calls it
        self._rsgi = app
        self._rsgi_scope = scope

    def __enter__(self) -> Self:
        super().__enter__()
        self.exit_stack.callback(self._leave)
        return self

    def _leave(self) -> None:
        """Close, and let the application end by itself: Granian does not cancel it."""
        self.close(1000)
        self.portal.call(self._wait)

    async def _wait(self) -> None:
        with anyio.move_on_after(GRACE):
            await self._ended.wait()

    def _raise_on_close(self, message: Message) -> None:
        try:
            super()._raise_on_close(message)
        except WebSocketDenialResponse as denial:
            denial.code, denial.reason = _ABNORMAL, ""
            raise

    async def _run(self, *, task_status: anyio.abc.TaskStatus[anyio.CancelScope]) -> None:
        self._ended = anyio.Event()
        outgoing, self._send_rx = anyio.create_memory_object_stream[Message](math.inf)
        self._receive_tx, incoming = anyio.create_memory_object_stream[Message](math.inf)
        with outgoing, self._send_rx, self._receive_tx, incoming, anyio.CancelScope() as cancel_scope:
            protocol = WebSocketProtocol(incoming, outgoing)
            task_status.started(cancel_scope)
            try:
                await self._rsgi(self._rsgi_scope, protocol)
            finally:
                self._ended.set()
            protocol.close()  # Granian's answer to an application that returns
            await anyio.sleep_forever()
