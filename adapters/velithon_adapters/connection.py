"""An accepted WebSocket without the words of either protocol: data comes and data goes.

The next message may be asked for while the application only sends, which is how that learns of a client that left, and
it outlives an await that is cancelled. A task that waits must therefore not hold the server's future: cancelling the
task would cancel that, and with it a message that had come by then. A future of asyncio's in between would take another
turn of the loop for each message. So the task holds the connection, which has the little of a future that tasks use.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from velithon_adapters import rsgi

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context

    from velithon_adapters.rsgi import WebsocketMessage, WebsocketTransport

__all__ = ["ClientDisconnected", "Connection"]

# RFC 6455 7.4.1
NO_STATUS = 1005
ABNORMAL_CLOSURE = 1006


class ClientDisconnected(OSError):
    """Something was sent over a WebSocket whose client is gone (ASGI 2.4, "Disconnected client")."""


class Connection:
    """The data of an accepted WebSocket.

    `await connection` returns what the client sent next, or ``None`` after the end.

    Before the handshake is done an await waits for it. Only one task can wait at a time.

    Attributes:
        code: The close code once the connection is over, this side's or the client's.
        transport: The server's, once the handshake was accepted.
    """

    __slots__ = (
        "_ahead",
        "_asyncio_future_blocking",
        "_context",
        "_loop",
        "_wakeup",
        "_watched",
        "_watching",
        "code",
        "transport",
    )

    def __init__(self) -> None:
        self.code: int | None = None
        self.transport: WebsocketTransport | None = None
        self._ahead: asyncio.Future[WebsocketMessage] | None = None
        self._loop = asyncio.get_running_loop()
        self._wakeup: Callable[[Connection], None] | None = None
        self._context: Context | None = None
        # Whether the next message has a callback of ours, and the context in which that is called.
        self._watched = False
        self._watching: Context | None = None
        self._asyncio_future_blocking = False

    def __await__(self) -> Generator[Connection, None, bytes | str | None]:
        """Wait for the client's next message.

        Raises:
            RuntimeError: Another task is waiting.
        """
        if self._wakeup is not None:
            raise RuntimeError("Another task is already receiving from this WebSocket.")
        while self.code is None:
            ahead = self._ahead
            if ahead is not None and ahead.done():
                # Asked for, not raised: the traceback would tie the transport into a cycle with this frame, and a
                # client that broke the protocol waits until Granian's transport is freed.
                failure = ahead.exception()
                if failure is None and (message := ahead.result()).kind:
                    self._ask()
                    return message.data  # type: ignore[no-any-return]  # text or bytes, by the kind that was asked for
                self._end(failure)
                return None
            self._asyncio_future_blocking = True
            # Whatever wakes the task makes room for the next one first.
            yield self
        return None

    def outgoing(self) -> WebsocketTransport:
        """Return what to send the next message over.

        Sending over it raises `rsgi.ProtocolClosed` or `rsgi.ProtocolError` when the client is gone: see `lost`.

        Raises:
            ClientDisconnected: The client is gone, or this side closed the connection.
            RuntimeError: The handshake is not done.
        """
        ahead, transport = self._ahead, self.transport
        if self.code is not None:
            raise ClientDisconnected("The client is gone.")
        if ahead is None or transport is None:
            raise RuntimeError("Nothing can be sent before the handshake is done.")
        if ahead.done() and not ahead.cancelled():
            failure = ahead.exception()
            if failure is not None or not ahead.result().kind:
                self.over(NO_STATUS if failure is None else ABNORMAL_CLOSURE)
                raise ClientDisconnected("The client is gone.")
        return transport

    def lost(self) -> ClientDisconnected:
        """Return what to raise when the server could not send a message."""
        if self.code is None:
            self.over(ABNORMAL_CLOSURE)
        return ClientDisconnected("The client is gone.")

    def accepted(self, transport: WebsocketTransport) -> None:
        """Take the server's transport: the handshake is done."""
        self.transport = transport
        self._ask()
        self._wake_soon()

    def over(self, code: int) -> None:
        """Say that the connection is over; who waits gets ``None``."""
        self.code = code
        self._wake_soon()

    def drop(self) -> None:
        """Let go of the server's transport. Granian ends the connection when that is freed."""
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = self._watching = None
        self.transport = None

    # What a task does with what it waits for; it also looks at `_loop`.

    def add_done_callback(self, wakeup: Callable[[Connection], None], *, context: Context | None = None) -> None:
        """Take what wakes the task."""
        self._wakeup = wakeup
        self._context = context
        ahead = self._ahead
        # Once for each message: who gives up waiting again and again would leave a callback each time.
        if ahead is not None and not self._watched:
            self._watched = True
            self._watching = context
            ahead.add_done_callback(self._wake_on_message, context=context)

    def cancel(self, msg: object = None) -> bool:
        """Wake the task, which then cancels itself.

        What it waits for goes on, and another task may wait for it.
        """
        self._wake_soon()
        return False

    def result(self) -> None:
        """Return nothing: the task looks at the connection itself."""

    def _wake_on_message(self, _: object) -> None:
        if self._context is not self._watching:
            self._wake_soon()
        elif (wakeup := self._wakeup) is not None:
            self._wakeup = None
            wakeup(self)

    def _wake_soon(self) -> None:
        wakeup = self._wakeup
        if wakeup is not None:
            # At once: by the time that the loop gets there another task may be the one that waits.
            self._wakeup = None
            self._loop.call_soon(wakeup, self, context=self._context)

    def _ask(self) -> None:
        asked: Any = self.transport.receive()  # type: ignore[union-attr]  # only called while there is a transport
        self._watched = False
        # Granian returns a future of its own; `asyncio.ensure_future` takes longer to find that out.
        self._ahead = asked if hasattr(asked, "_asyncio_future_blocking") else asyncio.ensure_future(asked)

    def _end(self, failure: BaseException | None) -> None:
        if failure is not None and not isinstance(failure, rsgi.ProtocolClosed):
            raise failure
        self.over(NO_STATUS if failure is None else ABNORMAL_CLOSURE)
