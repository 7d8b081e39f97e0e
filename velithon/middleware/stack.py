"""Composing layers: one stack, in the forms that each face needs.

A layer is a dispatch function, an ASGI layer, an RSGI layer, or bilingual. The stack grows from the inside out, and at
every step has three forms: a responder, an ASGI application and an RSGI application. A dispatch layer extends the
responder; any other layer takes the next one in its own form, and only then does an adapter stand between the two.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

from velithon.exceptions import RegistrationError
from velithon.faces.capture import build_call_next, capture
from velithon.faces.serve import adapt_asgi_layer, build_asgi_app, build_rsgi_app, find_request, respond_with_layers
from velithon.middleware.base import BaseHTTPMiddleware, get_dispatch
from velithon.responses.custom import show_files
from velithon_adapters import ASGIAdapter, ASGIWebsocket, RSGIProtocol, RSGIScope, asgi_scope, unwrap
from velithon_adapters.sending import TrackedSend
from velithon_adapters.websocket import RSGIWebsocketProtocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.middleware import Middleware
    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.faces.serve import HandlingOwner, Responder, RSGIApp
    from velithon.requests.request import Request
    from velithon_adapters.rsgi import RSGICallable

__all__ = ["Stack", "build_route_stack", "build_stack", "build_websocket_stack", "mount_stack"]


class Stack:
    """What a request runs through, in three forms.

    Args:
        respond: The responder. Its response may be an `AppResponse`, unless a dispatch layer is outermost.
        asgi: The ASGI application; it takes WebSockets as well.
        rsgi: The RSGI application, for HTTP; `None` while it is the responder's own face.
        call_next: What the next dispatch layer calls; made of `respond` when `None`.
    """

    def __init__(
        self, respond: Responder, asgi: ASGIApp, rsgi: RSGIApp | None = None, call_next: Responder | None = None
    ) -> None:
        self.respond = respond
        self.asgi = asgi
        self.rsgi = rsgi
        self.call_next = call_next

    @property
    def direct(self) -> bool:
        """Whether `respond` is the whole stack for HTTP."""
        return self.rsgi is None

    def build_rsgi_form(self, app: HandlingOwner) -> RSGIApp:
        return self.rsgi or build_rsgi_app(self.respond, app, app._errors.inside, make=find_request)


class Next:
    """The next layer, callable over both protocols.

    With three arguments it is an ASGI application, with two an RSGI application.

    Its `__call__` is an `async def`: layers look, to tell ASGI 3 from ASGI 2 (asgiref, OpenTelemetry, Sentry).
    """

    # Tells asgiref, with which layers of others look at what they stand around, that this is ASGI 3.
    _asgi_single_callable = True

    def __init__(self, asgi: ASGIApp, rsgi: RSGIApp) -> None:
        self._asgi = asgi
        self._rsgi = rsgi

    async def __call__(self, scope: Any, receive: Any, send: Send | None = None) -> None:
        if send is None:
            await self.__rsgi__(scope, receive)
        else:
            await self._asgi(scope, receive, send)

    def __rsgi__(self, scope: Any, protocol: Any) -> Awaitable[None]:
        if scope.proto != "http":
            return run_websocket(self._asgi, scope, protocol)
        if type(protocol) is RSGIProtocol and isinstance(scope, RSGIScope):
            # An RSGI layer on an ASGI server that let everything through.
            original = unwrap(protocol)
            if original is not None:
                return _run_unwrapped(self._asgi, scope, protocol, *original)
        return self._rsgi(scope, protocol)


async def _run_unwrapped(asgi: ASGIApp, scope: Any, protocol: RSGIProtocol, receive: Receive, send: Send) -> None:
    """Run what is inside an RSGI layer on what its protocol stands on; the layer may still answer what that raises."""
    sending = TrackedSend(send)
    try:
        await asgi(scope.asgi, receive, sending)
    except BaseException:
        if not sending.started:
            protocol.take_back()
        raise


async def run_websocket(asgi: ASGIApp, scope: Any, protocol: Any) -> None:
    """Run a WebSocket that came through an RSGI layer over ASGI.

    ASGI is the form that all WebSockets have inside.
    """
    asgi_dictionary = scope.asgi if isinstance(scope, RSGIScope) else asgi_scope(scope)
    if type(protocol) is RSGIWebsocketProtocol and not protocol.closed:
        # Nobody took its place: from here on what is under it answers, with all that ASGI carries.
        protocol.closed = True
        await asgi(asgi_dictionary, protocol._receive, protocol._send)
        return
    async with ASGIWebsocket(protocol) as websocket:
        await asgi(asgi_dictionary, websocket.receive, websocket.send)


def build_stack(
    respond: Responder,
    otherwise: ASGIApp | None,
    layers: Iterable[Middleware],
    app: HandlingOwner,
    call_next: Responder | None = None,
) -> Stack:
    """Build the stack of an application, a router or a route.

    Args:
        respond: The core.
        otherwise: Takes what is not HTTP.
        layers: The outermost first.
        app: Whose requests they are.
        call_next: The core as a dispatch layer calls it, where that can be had for less than from `respond`.

    Raises:
        RegistrationError: A layer has no form that is known.
    """
    stack = Stack(respond, build_asgi_app(respond, otherwise, app._errors.inside), call_next=call_next)
    for cls, args, kwargs in reversed(list(layers)):
        layer = cls(Next(stack.asgi, stack.build_rsgi_form(app)), *args, **kwargs)
        stack = _extend(stack, layer, app)
    return stack


def _extend(stack: Stack, layer: object, app: HandlingOwner) -> Stack:
    dispatch = get_dispatch(layer)
    if dispatch is not None:
        takes_responder = type(layer).__dict__.get("takes_responder", False)
        call_next = stack.call_next or (stack.respond if takes_responder else build_call_next(stack.respond))

        def respond(request: Request) -> Awaitable[object]:
            return dispatch(request, call_next)

        return Stack(respond, build_asgi_app(respond, _find_other_app(layer, stack.asgi), app._errors.inside))
    asgi, rsgi = get_forms(layer, app, stack.asgi)
    return Stack(capture(asgi), asgi, rsgi)


def _find_other_app(layer: object, inside: ASGIApp) -> ASGIApp:
    """Return what takes a dispatch layer's WebSockets, and hands the lifespan on to what is inside."""
    websocket = getattr(layer, "dispatch_websocket", None)
    if websocket is None or getattr(websocket, "__func__", None) is BaseHTTPMiddleware.dispatch_websocket:
        return inside

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await (inside if scope["type"] == "lifespan" else websocket)(scope, receive, send)

    return asgi


class LayerAdapter(ASGIAdapter):
    """An RSGI layer as an ASGI application.

    The lifespan, which RSGI has not, is that of what is inside.
    """

    def __init__(self, layer: RSGICallable, inside: ASGIApp) -> None:
        super().__init__(layer)
        self.inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.inside(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def get_forms(layer: Any, app: HandlingOwner, inside: ASGIApp) -> tuple[ASGIApp, RSGIApp]:
    """Return a layer's ASGI and RSGI forms, adapting the one that is missing.

    Raises:
        RegistrationError: It is neither an ASGI nor an RSGI layer.
    """
    rsgi = getattr(layer, "__rsgi__", None)
    if rsgi is not None:
        return layer, rsgi
    if _is_asgi_layer(layer):
        asgi = _wrap_to_show_files(layer)
        return asgi, adapt_asgi_layer(asgi, app)
    return LayerAdapter(layer, inside), layer


def _wrap_to_show_files(layer: ASGIApp) -> ASGIApp:
    """Return a layer that files pass through as bytes, which it may want to read or to change, on every server."""

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        show_files(scope)
        await layer(scope, receive, send)

    return asgi


def _is_asgi_layer(layer: Callable[..., object]) -> bool:
    """Tell an ASGI layer from an RSGI layer.

    Raises:
        RegistrationError: It is neither.
    """
    positional = _count_positional(layer)
    if positional in (3, None):
        return True
    if positional == 2:
        return False
    raise RegistrationError(
        f"The middleware {type(layer).__name__} is called with (scope, receive, send) or (scope, protocol), "
        f"but its __call__ takes {positional} positional arguments.",
    )


def _count_positional(layer: Callable[..., object]) -> int | None:
    """Return how many positional arguments a layer requires, or `None` when it takes any number."""
    try:
        # Not of what it wraps: `functools.wraps(app)` around a layer says nothing of how the layer is called.
        parameters = inspect.signature(layer, follow_wrapped=False).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return sum(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
        for parameter in parameters
    )


class _Nobody:
    """Stands for the application of a route whose router is served without one: over ASGI, with no handlers."""

    class _errors:
        inside = None


def build_route_stack(respond: Responder, layers: Iterable[Middleware], app: HandlingOwner | None) -> Responder:
    """Return the responder of one route behind its own layers, the outermost first."""
    if app is None:
        app = cast("HandlingOwner", _Nobody)
    stack = build_stack(respond, None, layers, app)
    return stack.respond if stack.direct else respond_with_layers(stack.asgi, stack.build_rsgi_form(app))


def build_websocket_stack(asgi: ASGIApp, layers: Iterable[Middleware]) -> ASGIApp:
    """Return the ASGI application of a WebSocket route behind its own layers, the outermost first.

    Raises:
        RegistrationError: A layer has no form that is known.
    """
    for cls, args, kwargs in reversed(list(layers)):
        layer = cls(Next(asgi, _refuse_http), *args, **kwargs)
        asgi = layer if hasattr(layer, "__rsgi__") or _is_asgi_layer(layer) else ASGIAdapter(layer)
    return asgi


def mount_stack(asgi: ASGIApp, layers: Iterable[Middleware]) -> ASGIApp:
    """Return what is mounted behind layers of the router that mounts it, the outermost first.

    Raises:
        RegistrationError: A layer has no ASGI form.
    """
    for cls, args, kwargs in reversed(list(layers)):
        layer = cls(asgi, *args, **kwargs)
        if not hasattr(layer, "__rsgi__") and not _is_asgi_layer(layer):
            raise RegistrationError(
                f"The middleware {cls.__name__} is called with (scope, protocol), and what is mounted speaks ASGI: "
                "give the layer to the application."
            )
        asgi = layer
    return asgi


async def _refuse_http(scope: object, protocol: object) -> None:
    raise RuntimeError("A WebSocket route was asked for an HTTP response.")
