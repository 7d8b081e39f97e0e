"""A message over a WebSocket in memory, there and back, on a connection that stays open.

No loop turns: the message's arrival wakes the application, which runs until it waits for the next. So what is measured
is what is between the server and the endpoint, and the endpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

from benchmarks.core.cases import Case
from benchmarks.core.measure import Thunk
from benchmarks.core.memory import ASGIExchange, Scope

__all__ = ["asgi_socket_thunk", "rsgi_socket_thunk"]

TEXT = "a text message of 32 characters."


class Arrival(asyncio.Future[Any]):
    """What a server's `receive` returns; as Granian's it has one callback, which the server calls."""

    callback: Any

    def add_done_callback(self, callback: Any, *, context: Any = None) -> None:
        self.callback = callback


class Sent:
    """What a server's `send` returns: done the next time that somebody looks."""

    def __await__(self) -> Generator[Sent, None, None]:
        yield self


SENT = Sent()


class Message:
    """A text, as Granian shows it."""

    kind = 2
    data = TEXT


class Socket:
    """One connection, as RSGI's protocol and its transport, and as ASGI's `receive` and `send`."""

    def __init__(self) -> None:
        self.echoed: str | None = None
        self.arrival: Arrival | None = None
        self.running: Coroutine[Any, Any, None] | None = None
        self.connected = False

    def run(self, application: Coroutine[Any, Any, None]) -> None:
        """Run an application until it waits for a message."""
        self.running = application
        self._step()

    def bring(self, message: Any) -> None:
        """Let a message arrive, and the application do what it does with it."""
        arrival = self.arrival
        assert arrival is not None
        self.arrival = None
        arrival.set_result(message)
        arrival.callback(arrival)

    def _step(self, _: object = None) -> None:
        if self.running is None:
            return  # disconnected
        while (waits := self.running.send(None)) is SENT:
            pass
        waits._asyncio_future_blocking = False
        waits.add_done_callback(self._step, context=None)

    def _ask(self) -> Arrival:
        self.arrival = arrival = Arrival()
        return arrival

    async def accept(self) -> Socket:
        return self

    def close(self, status: int | None = None) -> None:
        """Take note: the application ends its side when Python lets go of it, after the measuring."""
        self.echoed = None

    def send_str(self, data: str) -> Sent:
        self.echoed = data
        return SENT

    def receive(self) -> Arrival:
        return self._ask()

    def asgi_receive(self) -> Arrival:
        arrival = Arrival() if not self.connected else self._ask()
        if not self.connected:
            self.connected = True
            arrival.set_result({"type": "websocket.connect"})
        return arrival

    def asgi_send(self, message: dict[str, Any]) -> Sent:
        self.echoed = message.get("text")
        return SENT


_connected: list[Socket] = []


def disconnect() -> None:
    """End all connections, while there is a loop that their applications may end on."""
    while _connected:
        socket = _connected.pop()
        running, socket.running = socket.running, None
        if running is not None:
            running.close()


async def rsgi_socket_thunk(app: Any, case: Case, who: str) -> Thunk:
    """Return a message there and back over RSGI, after it was checked."""
    scope = Scope(case.method, case.target, case.headers)
    scope.proto = "ws"
    socket = Socket()
    socket.run(app.__rsgi__(scope, socket))
    return _checked(socket, Message(), who)


async def asgi_socket_thunk(app: Any, case: Case, who: str) -> Thunk:
    """Return a message there and back over ASGI, after it was checked."""
    scope = ASGIExchange(case.method, case.target, case.headers, b"").scope
    scope = {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}
    socket = Socket()
    socket.run(app(scope, socket.asgi_receive, socket.asgi_send))
    return _checked(socket, {"type": "websocket.receive", "text": TEXT}, who)


def _checked(socket: Socket, message: Any, who: str) -> Thunk:
    _connected.append(socket)

    def echo() -> None:
        socket.bring(message)

    echo()
    if socket.echoed != TEXT:
        raise RuntimeError(f"{who} answers a WebSocket's message with {socket.echoed!r}")
    return echo
