"""Composing layers: one stack, in the forms that each face needs.

A layer is a dispatch function, an ASGI layer, an RSGI layer, or bilingual. The stack grows from the inside out, and at
every step has three forms: a responder, an ASGI application and an RSGI application. A dispatch layer extends the
responder; any other layer takes the next one in its own form, and only then does an adapter stand between the two.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from velithon_adapters import ASGIAdapter

from velithon.exceptions import RegistrationError
from velithon.faces import asgi_face, capture, layered, rsgi_face
from velithon.middleware.base import dispatch_of
from velithon.requests import RSGIRequest
from velithon.responses import AppResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from starlette.middleware import Middleware
    from starlette.types import ASGIApp

    from velithon.application import Velithon
    from velithon.faces import Responder, RSGIApp
    from velithon.requests import Request

__all__ = ["Stack", "build_stack"]


@dataclass(slots=True)
class Stack:
    """What a request runs through, in three forms.

    Args:
        respond: The responder. Its response may be an `AppResponse`, unless a dispatch layer is outermost.
        asgi: The ASGI application; it takes WebSockets as well.
        rsgi: The RSGI application, for HTTP; `None` while it is the responder's own face.
        direct: Whether `respond` is the whole stack for HTTP.
    """

    respond: Responder
    asgi: ASGIApp
    rsgi: RSGIApp | None = None

    @property
    def direct(self) -> bool:
        return self.rsgi is None

    def rsgi_form(self, app: Velithon) -> RSGIApp:
        return self.rsgi or rsgi_face(self.respond, app)


class Next:
    """The next layer as a layer sees it: an ASGI application with three arguments, an RSGI application with two."""

    def __init__(self, asgi: ASGIApp, rsgi: RSGIApp) -> None:
        self._asgi = asgi
        self._rsgi = rsgi

    def __call__(self, scope: Any, receive: Any, send: Any = None) -> Awaitable[None]:
        if send is None:
            return self._rsgi(scope, receive)
        return self._asgi(scope, receive, send)

    def __rsgi__(self, scope: Any, protocol: Any) -> Awaitable[None]:
        return self._rsgi(scope, protocol)


def build_stack(respond: Responder, otherwise: ASGIApp | None, layers: Iterable[Middleware], app: Velithon) -> Stack:
    """Build the stack of an application, a router or a route.

    Args:
        respond: The core.
        otherwise: Takes what is not HTTP.
        layers: The outermost first.
        app: Whose requests they are.

    Raises:
        RegistrationError: A layer has no form that is known.
    """
    stack = Stack(respond, asgi_face(respond, otherwise))
    for cls, args, kwargs in reversed(list(layers)):
        layer = cls(Next(stack.asgi, stack.rsgi_form(app)), *args, **kwargs)
        stack = _extend(stack, layer, app)
    return stack


def _extend(stack: Stack, layer: Any, app: Velithon) -> Stack:
    dispatch = dispatch_of(layer)
    if dispatch is not None:
        call_next = begun(stack.respond)

        def respond(request: Request) -> Awaitable[Any]:
            return dispatch(request, call_next)

        return Stack(respond, asgi_face(respond, otherwise=stack.asgi))
    asgi, rsgi = forms(layer, app)
    return Stack(capture(asgi), asgi, rsgi)


def forms(layer: Any, app: Velithon) -> tuple[ASGIApp, RSGIApp]:
    """Return a layer's ASGI and RSGI forms, with an adapter for the one that it lacks.

    Raises:
        RegistrationError: It is neither an ASGI nor an RSGI layer.
    """
    rsgi = getattr(layer, "__rsgi__", None)
    if rsgi is not None:
        return layer, rsgi
    positional = _positional(layer)
    if positional == 2:
        return ASGIAdapter(layer), layer
    if positional == 3 or positional is None:
        return layer, bridged(layer, app)
    raise RegistrationError(
        f"The middleware {type(layer).__name__} is called with (scope, receive, send) or (scope, protocol), "
        f"but its __call__ takes {positional} positional arguments.",
    )


def bridged(asgi: ASGIApp, app: Velithon) -> RSGIApp:
    """Return the RSGI form, for HTTP, of an ASGI layer inside an application."""

    async def rsgi(scope: Any, protocol: Any) -> None:
        request = RSGIRequest(scope, protocol, app)
        await asgi(request.scope, request.receive, request._send)

    return rsgi


def _positional(layer: Any) -> int | None:
    """Return how many positional arguments a layer requires, or `None` when it takes any number."""
    try:
        parameters = inspect.signature(layer).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return sum(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
        for parameter in parameters
    )


def begun(respond: Responder) -> Responder:
    """Return a responder whose responses have a status and headers, as a dispatch layer expects of `call_next`."""

    async def call_next(request: Request) -> Any:
        response = await respond(request)
        if type(response) is AppResponse:
            return await capture(response.app)(request)
        return response

    return call_next


def route_stack(respond: Responder, layers: Iterable[Middleware], app: Velithon) -> Responder:
    """Return the responder of one route behind its own layers, the outermost first."""
    stack = build_stack(respond, None, layers, app)
    return stack.respond if stack.direct else layered(stack.asgi, stack.rsgi_form(app))


def asgi_form(layer: Any) -> ASGIApp:
    """Return a layer as WebSocket routes need it."""
    return ASGIAdapter(layer) if not hasattr(layer, "__rsgi__") and _positional(layer) == 2 else layer
