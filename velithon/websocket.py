"""WebSockets: the connection, and class endpoints for it."""

from __future__ import annotations

import functools
import inspect
import json
from typing import TYPE_CHECKING, Any, Literal, get_origin

from starlette.endpoints import WebSocketEndpoint as StarletteWebSocketEndpoint
from starlette.websockets import WebSocket as StarletteWebSocket
from starlette.websockets import WebSocketClose, WebSocketDisconnect, WebSocketState

from velithon import signature
from velithon.later import later
from velithon_adapters import ASGIWebsocket, ClientDisconnected, rsgi

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence

    from starlette.types import Message, Receive, Scope, Send

    from velithon.heartbeat import Heartbeat
    from velithon.params import Depends
    from velithon.signature import EndpointModel
    from velithon_adapters.connection import Connection

    class Base:
        """Says of Starlette's class only what its subclasses may not change: each method takes what it needs."""

        encoding: Literal["text", "bytes", "json"] | None
        scope: Scope
        receive: Receive
        send: Send

        def __init__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

        def __await__(self) -> Generator[Any, None, None]: ...

        async def decode(self, websocket: Any, message: Message) -> Any: ...

        async def on_connect(self, *args: Any, **kwargs: Any) -> None: ...

        async def on_receive(self, *args: Any, **kwargs: Any) -> None: ...

        async def on_disconnect(self, *args: Any, **kwargs: Any) -> None: ...
else:
    Base = StarletteWebSocketEndpoint

__all__ = ["Heartbeat", "WebSocket", "WebSocketClose", "WebSocketDisconnect", "WebSocketEndpoint", "WebSocketState"]

NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006
INTERNAL_ERROR = 1011

# An enumeration's member takes longer to look up than the rest of a message's checks.
_CONNECTED = WebSocketState.CONNECTED
_DISCONNECTED = WebSocketState.DISCONNECTED


class WebSocket(StarletteWebSocket[Any]):
    """A WebSocket connection: Starlette's."""

    # What a class endpoint is about to call: the bound method and the arguments that no signature names.
    _call: tuple[Callable[..., Awaitable[None]], tuple[Any, ...]]


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

    def __setattr__(self, name: str, value: Any) -> None:
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
        return data if isinstance(data, str) else self._unfit(data, "text")

    async def receive_bytes(self) -> bytes:
        """Return the next message."""
        connection = self._connection
        if connection is None or self.application_state is not _CONNECTED or self.client_state is not _CONNECTED:
            return await super().receive_bytes()
        data = await connection
        return data if isinstance(data, bytes) else self._unfit(data, "bytes")

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
            raise self._left() from exc

    async def send_bytes(self, data: bytes) -> None:
        """Send a message."""
        connection = self._connection
        if connection is None or self.application_state is not _CONNECTED:
            await super().send_bytes(data)
            return
        try:
            await connection.outgoing().send_bytes(data)
        except (ClientDisconnected, rsgi.ProtocolClosed, rsgi.ProtocolError) as exc:
            raise self._left() from exc

    def _left(self) -> WebSocketDisconnect:
        """Return what to raise when the client is gone."""
        self._server.connection.lost()
        self.application_state = _DISCONNECTED
        return WebSocketDisconnect(code=ABNORMAL_CLOSURE)

    def _unfit(self, data: bytes | str | None, wanted: str) -> Any:
        """Raise what Starlette raises for such a message."""
        if data is None:
            self.client_state = _DISCONNECTED
        message = self._server.message(data)
        self._raise_on_disconnect(message)
        return message[wanted]


# What the methods above go around.
_STEPS = frozenset(("_receive", "_send", "receive", "receive_bytes", "receive_text", "send", "send_bytes", "send_text"))


def websocket_over(scope: Scope, receive: Receive, send: Send) -> WebSocket:
    """Return the WebSocket over what a face gave, on the shortest way that there is."""
    server = ASGIWebsocket.of(receive, send)
    return WebSocket(scope, receive, send) if server is None else RSGIWebSocket(scope, server)


class WebSocketEndpoint(Base):
    """Base of class endpoints for WebSockets: override `on_connect`, `on_receive` and `on_disconnect` as needed.

    `encoding` is `"text"`, `"bytes"`, `"json"` or `None`, which takes what comes. `on_disconnect` may take the close
    code or leave it out. After these arguments each method may have what a function endpoint has: path and query
    parameters, headers, dependencies. They are found anew at each call.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        # Under a route that is not Velithon's, Starlette's own `dispatch` runs and always hands over the code.
        if not _takes_close_code(type(self).on_disconnect, ()):
            disconnected: Any = self.on_disconnect

            async def on_disconnect(websocket: StarletteWebSocket[Any], close_code: int) -> None:
                await disconnected(websocket)

            self.on_disconnect = on_disconnect  # type: ignore[method-assign]


class EndpointClass:
    """A class endpoint on one route: its methods, read once.

    Args:
        cls: The class.
        path: The route's path, with its parameters in braces.
        dependencies: Run before `on_connect`.
        name: The route's name, for errors.
    """

    def __init__(
        self, cls: type[StarletteWebSocketEndpoint], *, path: str, dependencies: Sequence[Depends], name: str
    ) -> None:
        self.cls = cls
        parameters = {part.partition(":")[0].partition("}")[0] for part in path.split("{")[1:]}
        self.close_code = _takes_close_code(cls.on_disconnect, parameters)
        self.models: dict[str, EndpointModel] = {}
        fixed = {"on_connect": 1, "on_receive": 2, "on_disconnect": 1 + self.close_code}
        for method, count in fixed.items():
            own = dependencies if method == "on_connect" else ()
            call, extra = _function(cls, method, count)
            if extra or own:
                self.models[method] = signature.read_endpoint(
                    call, path=path, kind="websocket", dependencies=own, name=name
                )
        self._plans: dict[tuple[Any, ...], dict[str, Callable[[Any], Awaitable[None]]]] = {}

    async def run(self, websocket: WebSocket, overrides: Mapping[Any, Any]) -> None:
        """Run one connection."""
        plans = self._planned(overrides)
        endpoint = self.cls(websocket.scope, websocket._receive, websocket._send)

        async def call(name: str, *arguments: Any) -> None:
            # An instance may hide the method behind one that takes another number of arguments.
            method = functools.partial(getattr(self.cls, name), endpoint)
            plan = plans.get(name)
            if plan is None:
                await method(websocket, *arguments)
            else:
                websocket._call = method, (websocket, *arguments)
                await plan(websocket)

        await call("on_connect")
        code = NORMAL_CLOSURE
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    code = int(message.get("code") or NORMAL_CLOSURE)
                    return
                await call("on_receive", await endpoint.decode(websocket, message))
        except WebSocketDisconnect as exc:
            # The client left while something was being sent to it.
            code = exc.code
        except BaseException:
            code = INTERNAL_ERROR
            raise
        finally:
            await call("on_disconnect", *((code,) if self.close_code else ()))

    def _planned(self, overrides: Mapping[Any, Any]) -> dict[str, Callable[[Any], Awaitable[None]]]:
        key = tuple((id(call), id(other)) for call, other in overrides.items())
        plans = self._plans.get(key)
        if plans is None:
            plans = self._plans[key] = {
                name: signature.compile_websocket(model, overrides=overrides or None)
                for name, model in self.models.items()
            }
        return plans


def _function(cls: type, name: str, count: int) -> tuple[Callable[..., Awaitable[None]], bool]:
    """Return a function endpoint for a method that gets its first `count` arguments by position.

    Returns:
        The function, and whether the method takes anything else.
    """
    from velithon.di import unwrap

    method = getattr(cls, name)
    declared = signature.signature_of(method)
    method = unwrap(method)  # what it asks a container for is resolved before the call
    rest = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(declared.parameters.values())[1 + count :]
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]

    @functools.wraps(method)
    async def call(*, _websocket: WebSocket, **found: Any) -> None:
        bound, arguments = _websocket._call
        await bound(*arguments, **found)

    websocket = inspect.Parameter("_websocket", inspect.Parameter.KEYWORD_ONLY, annotation=StarletteWebSocket)
    call.__signature__ = declared.replace(parameters=[*rest, websocket])  # type: ignore[attr-defined]
    call.__qualname__ = f"{cls.__qualname__}.{name}"
    return call, bool(rest)


def _takes_close_code(method: Any, path_parameters: Any) -> bool:
    """Tell whether the argument after the WebSocket is the close code, and not something to be looked up."""
    parameters = list(inspect.signature(method).parameters.values())
    if len(parameters) < 3:
        return any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    third = parameters[2]
    if third.kind is third.VAR_POSITIONAL:
        return True
    annotated = get_origin(third.annotation) is not None or "Annotated[" in str(third.annotation)
    return (
        third.kind in (third.POSITIONAL_ONLY, third.POSITIONAL_OR_KEYWORD)
        and third.name not in path_parameters
        and (third.name in ("close_code", "code") or (third.default is third.empty and not annotated))
    )


if not TYPE_CHECKING:
    # Kept out of the import of an application that does not use it.
    __getattr__, __dir__ = later(__name__, {"Heartbeat": "velithon.heartbeat"})
