"""Class endpoints for WebSockets."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Literal, get_origin

from starlette.endpoints import WebSocketEndpoint as StarletteWebSocketEndpoint
from starlette.websockets import WebSocket as StarletteWebSocket
from starlette.websockets import WebSocketDisconnect

from velithon import signature
from velithon.signature.path import list_path_names
from velithon.signature.plan_cache import Overrides, PlanCache
from velithon.websocket.connection import INTERNAL_ERROR, NORMAL_CLOSURE, WebSocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Generator, Sequence

    from starlette.types import Message, Receive, Scope, Send

    from velithon.params import Depends
    from velithon.signature import EndpointModel

    class Base:
        """Says of Starlette's class only what its subclasses may not change: each method takes what it needs."""

        encoding: Literal["text", "bytes", "json"] | None
        scope: Scope
        receive: Receive
        send: Send

        def __init__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

        def __await__(self) -> Generator[object, None, None]: ...

        async def decode(self, websocket: Any, message: Message) -> Any: ...

        async def on_connect(self, *args: Any, **kwargs: Any) -> None: ...

        async def on_receive(self, *args: Any, **kwargs: Any) -> None: ...

        async def on_disconnect(self, *args: Any, **kwargs: Any) -> None: ...
else:
    Base = StarletteWebSocketEndpoint

__all__ = ["EndpointClass", "WebSocketEndpoint"]


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

            async def on_disconnect(websocket: StarletteWebSocket, close_code: int) -> None:
                await disconnected(websocket)

            self.on_disconnect = on_disconnect  # type: ignore[method-assign]  # the wrapper takes the place of the method of this instance


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
        self.close_code = _takes_close_code(cls.on_disconnect, list_path_names(path))
        self.models: dict[str, EndpointModel] = {}
        fixed = {"on_connect": 1, "on_receive": 2, "on_disconnect": 1 + self.close_code}
        for method, count in fixed.items():
            own = dependencies if method == "on_connect" else ()
            call, extra = _build_function(cls, method, count)
            if extra or own:
                self.models[method] = signature.read_endpoint(
                    call, path=path, kind="websocket", dependencies=own, name=name
                )
        self._plans = PlanCache(self._compile)

    async def run(self, websocket: WebSocket, overrides: Overrides) -> None:
        """Run one connection."""
        plans = self._plans.get(overrides)
        endpoint = self.cls(websocket.scope, websocket._receive, websocket._send)

        async def call(name: str, *arguments: object) -> None:
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

    def _compile(self, overrides: Overrides) -> dict[str, Callable[[WebSocket], Awaitable[None]]]:
        return {
            name: signature.compile_websocket(model, overrides=overrides or None) for name, model in self.models.items()
        }


def _build_function(cls: type, name: str, count: int) -> tuple[Callable[..., Awaitable[None]], bool]:
    """Return a function endpoint for a method that gets its first `count` arguments by position.

    Returns:
        The function, and whether the method takes anything else.
    """
    from velithon.di import strip_inject

    method = getattr(cls, name)
    declared = signature.read_signature(method)
    method = strip_inject(method)  # what it asks a container for is resolved before the call
    rest = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(declared.parameters.values())[1 + count :]
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]

    @functools.wraps(method)
    async def call(*, _websocket: WebSocket, **found: object) -> None:
        bound, arguments = _websocket._call
        await bound(*arguments, **found)

    websocket = inspect.Parameter("_websocket", inspect.Parameter.KEYWORD_ONLY, annotation=StarletteWebSocket)
    call.__signature__ = declared.replace(parameters=[*rest, websocket])  # type: ignore[attr-defined]  # functions take attributes
    call.__qualname__ = f"{cls.__qualname__}.{name}"
    return call, bool(rest)


def _takes_close_code(method: Callable[..., object], path_parameters: Collection[str]) -> bool:
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
