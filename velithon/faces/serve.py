"""Turns responders into ASGI and RSGI applications, and layers back into responders.

A responder is `async respond(request) -> Response`, the form that everything HTTP has inside the application. A face
builds the request, awaits the responder, sends what it returned, runs the background task and then closes what was
opened for the request. What a responder raises is the face's to let through; `Errors` turns it into an answer first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from starlette import responses as starlette

from velithon.background import ASIDE, has_late_tasks, with_set_aside
from velithon.exceptions import VelithonError, as_exception
from velithon.middleware.scope import ServerScope
from velithon.requests.request import Request
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.app import AppResponse
from velithon.responses.base import Response
from velithon.responses.custom import CustomSending
from velithon_adapters.scope import RSGIScope
from velithon_adapters.sending import TrackedProtocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

    from starlette import background as starlette_background
    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon._runtime.owner import ErrorTables, Owner
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

    class ErrorLayer(Protocol):
        """Answers what was raised; see `velithon.middleware.errors`."""

        async def answer(self, request: Request, exc: Exception, response: Response | None) -> None: ...

    class ErrorHandlers(ErrorLayer, ErrorTables, Protocol):
        """The exception handlers of one application."""

        @property
        def inside(self) -> ErrorLayer: ...

        async def respond(self, request: Request, exc: Exception) -> Response: ...

    class HandlingOwner(Owner, Protocol):
        """An application whose layers are composed."""

        @property
        def _errors(self) -> ErrorHandlers: ...

    Responder = Callable[[Request], Awaitable[Any]]
    # What a route has of it, for a subclass that wraps it, whichever class of request that names.
    RouteHandler = Callable[[Any], Awaitable[Any]]
    RSGIApp = Callable[[HTTPScope, HTTPProtocol], Awaitable[None]]


def build_asgi_app(respond: Responder, otherwise: ASGIApp | None = None, errors: ErrorLayer | None = None) -> ASGIApp:
    """Return the ASGI application of a responder.

    Args:
        respond: Answers HTTP requests.
        otherwise: Takes the scopes that are not HTTP.
        errors: Answers what was raised. Without it exceptions go on to the caller, which is a layer further out.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if otherwise is not None:
                await otherwise(scope, receive, send)
            return
        request = Request(scope, receive, send)
        response: object = None
        try:
            response = await respond(request)
            if not isinstance(response, Response):
                response = to_response(response, request)
            sent: Send = response.track(send) if response.overridden else send
            background = response.background
            if ASIDE in scope:
                background = with_set_aside(scope, background, response)
            if background is None:
                await response(scope, request._receive, sent)
            else:
                # Run here rather than by the response, so that a shutdown knows of it.
                response.background = None
                await response(scope, request._receive, sent)
                await run_background(background, scope)
            stack = scope.get("velithon.exits")
            if stack is not None:
                await stack.aclose()
                if background is not None and has_late_tasks(background):
                    await run_background(background, scope)
        except BaseException as exc:  # noqa: BLE001 - answered or raised again there
            await answer_failure(request, response, exc, errors)

    return app


def build_rsgi_app(
    respond: Responder,
    app: Owner,
    errors: ErrorLayer | None = None,
    make: Callable[[HTTPScope, HTTPProtocol, Owner], RSGIRequest] = RSGIRequest,
) -> RSGIApp:
    """Return the RSGI application of a responder, for HTTP.

    Args:
        respond: Answers HTTP requests.
        app: The application whose state and router the requests show.
        errors: Answers what was raised. Without it exceptions go on to the caller, which is a layer further out.
        make: Makes the request.
    """

    async def serve(scope: HTTPScope, protocol: HTTPProtocol) -> None:
        request = make(scope, protocol, app)
        response: object = None
        try:
            response = await respond(request)
            if not isinstance(response, Response):
                response = to_response(response, request)
            pending = response.send_rsgi(scope, protocol)
            if pending is not None:
                await (pending.send(request) if type(pending) is CustomSending else pending)
            if response.background is not None or request._opened:
                await finish_rsgi(app, request, response)
        except BaseException as exc:  # noqa: BLE001 - answered or raised again there
            await answer_failure(request, response, exc, errors)

    return serve


async def answer_failure(request: Request, response: object, exc: BaseException, errors: ErrorLayer | None) -> None:
    """Unwind what was opened for a request.

    Answer what was raised, or let it go on to the caller.
    """
    raised = as_exception(await _unwind(request._exit_stack, exc))
    if not isinstance(response, Response):
        # What could not be made into one.
        response = None
    try:
        if errors is None or not isinstance(raised, Exception):
            raise raised from raised.__cause__
        await errors.answer(request, raised, response)
    except (SystemExit, KeyboardInterrupt) as again:
        raise as_exception(again) from again
    finally:
        if errors is not None and isinstance(request, RSGIRequest):
            request._close_receive()
            if request._at_end is not None:
                request._at_end()


async def finish_rsgi(app: Owner, request: RSGIRequest | None, response: Response) -> None:
    """Do what is left when a response was given to an RSGI server."""
    if request is not None:
        request._close_receive()
    background = response.background
    if request is not None and request._scope is not None and ASIDE in request._scope:
        background = with_set_aside(request._scope, background, response)
    if background is not None:
        await app._in_flight.run(background)
    stack = None if request is None else request._exit_stack
    if stack is not None:
        await stack.aclose()
        if background is not None and has_late_tasks(background):
            await app._in_flight.run(background)
    if request is not None and request._at_end is not None:
        request._at_end()


async def run_background(background: starlette_background.BackgroundTask, scope: Scope) -> None:
    """Run a response's background task, where a shutdown waits for it."""
    in_flight = getattr(scope.get("app"), "_in_flight", None)
    if in_flight is None:
        await background()
    else:
        await in_flight.run(background)


async def _unwind(stack: AsyncExitStack | None, exc: BaseException) -> BaseException:
    """Close the stack with the exception; return what is to be raised."""
    if stack is None:
        return exc
    try:
        swallowed = await stack.__aexit__(type(exc), exc, exc.__traceback__)
    except BaseException as raised:  # noqa: BLE001 - whatever a dependency's exit raised takes the place of `exc`
        return raised
    if swallowed:
        error = VelithonError(
            "A dependency with yield swallowed an exception that was raised while the response was being sent. "
            "An `except` around its `yield` must raise the exception again."
        )
        error.__cause__ = exc
        return error
    return exc


def to_response(response: object, request: Request) -> Response:
    """Convert what a layer returned to a Velithon response.

    It may be one of Starlette's, or any ASGI application.
    """
    if isinstance(response, starlette.Response) and type(response).__call__ is starlette.Response.__call__:
        return Response.from_starlette(response)
    if not callable(response):
        raise VelithonError(f"A middleware returned {response!r}, which is no response.")
    return AppResponse(response, request)


class LayersResponse(AppResponse):
    """Runs the layers when it is sent, where the outermost is no dispatch function."""

    inside = False

    def __init__(self, asgi: ASGIApp, rsgi: RSGIApp, request: Request) -> None:
        super().__init__(asgi, request)
        self.rsgi = rsgi

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None] | None:
        """Run the layers in their RSGI form."""
        request, seen = self.request, scope
        self._sending = tracked = TrackedProtocol(protocol, scope)
        if isinstance(request, RSGIRequest):
            # From here on the request's own answer, such as an error's, goes through the same object.
            request._protocol = tracked
            if not isinstance(scope, RSGIScope):
                seen = cast("HTTPScope", ServerScope(scope, request))
        return self.rsgi(seen, tracked)


def find_request(scope: Any, protocol: HTTPProtocol, app: Owner) -> RSGIRequest:
    """Return the request inside an RSGI layer.

    It is the one from outside, unless the layer replaced the scope or the protocol.
    """
    outside: RSGIRequest | None = getattr(scope, "request", None) if type(scope) is ServerScope else None
    if outside is not None:
        if protocol is outside._protocol:
            return outside
        request = RSGIRequest(scope, protocol, app)
        request.scope = outside.scope
        if hasattr(outside, "_body"):
            request._body = outside._body
        return request
    request = RSGIRequest(scope, protocol, app)
    if isinstance(scope, RSGIScope):
        request.scope = request.scope
    return request


def adapt_asgi_layer(asgi: ASGIApp, app: Owner) -> RSGIApp:
    """Return the RSGI form, for HTTP, of an ASGI layer inside an application."""

    async def rsgi(scope: HTTPScope, protocol: HTTPProtocol) -> None:
        request = find_request(scope, protocol, app)
        try:
            async with request._send as send:
                await asgi(request.scope, AppResponse.receive_of(request), send)
        finally:
            request._close_receive()

    return rsgi


def respond_with_layers(asgi: ASGIApp, rsgi: RSGIApp) -> Responder:
    """Return the responder that runs a stack whose outermost layer is no dispatch function."""

    async def respond(request: Request) -> LayersResponse:
        return LayersResponse(asgi, rsgi, request)

    return respond
