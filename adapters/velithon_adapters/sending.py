"""Tracks whether a response or a WebSocket has begun, and ends it.

What is raised while an application answers has to be answered by somebody, once, and only while nothing was sent. So
whoever runs an application does it inside of the sending side, ``async with sending: await app(...)``, and leaving that
ends the response: it completes what the application returned from, or settles what it raised in. Whether there is
anything left to answer is `Sending.started`, the one flag that error layers ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velithon_adapters.body import BodyChunks, is_http2
from velithon_adapters.scope import body_length

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType
    from typing import Self

    from velithon_adapters.asgi import Message, Send
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["Sending", "TrackedProtocol", "TrackedSend"]


class Sending:
    """The sending side of one response or WebSocket.

    Leaving it as a context manager ends what it sends.

    Attributes:
        started: Whether the response has begun, so that nobody can answer in its place any more.
    """

    __slots__ = ()

    started: bool

    async def __aenter__(self) -> Self:
        """Return this object."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the response; here that is left to who made the `send` or the protocol below."""


class TrackedSend(Sending):
    """An ASGI ``send`` that knows whether the response has begun.

    Args:
        send: What takes the messages.
    """

    __slots__ = ("_send", "started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        """Send a message."""
        self.started = True
        await self._send(message)


class TrackedProtocol(Sending):
    """An RSGI HTTP protocol that knows whether the response has begun.

    Its body is read by `BodyChunks`, so that one that was cut short raises.

    Args:
        inner: The protocol below.
        scope: The request's scope.
    """

    __slots__ = ("started", "inner", "scope")

    def __init__(self, inner: HTTPProtocol, scope: HTTPScope) -> None:
        self.inner = inner
        self.scope = scope
        self.started = False

    def __call__(self) -> Awaitable[bytes]:
        """Read the whole body."""
        return self.inner()

    def __aiter__(self) -> BodyChunks:
        """Iterate over the body in chunks as they arrive."""
        return BodyChunks(self.inner, body_length(self.scope), is_http2(self.scope))

    def client_disconnect(self) -> Awaitable[None]:
        """Wait until the client leaves."""
        return self.inner.client_disconnect()

    def __getattr__(self, name: str) -> Any:
        """Look the methods that respond up below."""
        if name.startswith("response_"):
            self.started = True
        return getattr(self.inner, name)
