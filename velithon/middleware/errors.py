"""Exception handling on both faces: users' handlers inside, the 500 layer outside."""

from __future__ import annotations

import logging
from functools import lru_cache
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocket

from velithon._compat.starlette import is_async_callable, wrap_app_handling_exceptions
from velithon.compat.namesakes import add_namesakes
from velithon.concurrency import run_in_threadpool
from velithon.exception_handlers import build_server_error, log_disconnect
from velithon.faces.serve import to_response
from velithon.requests.request import ContentTooLarge, Request
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.base import Response
from velithon.responses.custom import send_custom
from velithon.websocket.refusal import refuse_unanswered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.middleware.base import CallNext

    ErrorObserver = Callable[[Any, Exception], Awaitable[None] | None]
    # Starlette's type; a handler takes the exceptions of its own class.
    ExceptionHandler = Callable[[Any, Any], Any]

__all__ = [
    "ERROR_HOOKS",
    "Errors",
    "ServerErrorMiddleware",
    "SurroundingErrors",
    "change_response",
    "on_server_error",
]

logger = logging.getLogger("velithon")

# In a request's scope: functions of layers that want their headers on the 500 response, which is made outside of them.
ERROR_HOOKS = "velithon.error_hooks"


def on_server_error(request: Request, hook: Callable[[Request, Response], None]) -> None:
    """Let `hook(request, response)` change the 500 response, should this request end in one."""
    request.scope.setdefault(ERROR_HOOKS, []).append(hook)


async def change_response(
    request: Request, call_next: CallNext, change: Callable[[Request, Response], None]
) -> Response:
    """Return the next layer's response after `change(request, response)`.

    A 500 response, which is made outside of the layer, is changed too.
    """
    try:
        response = await call_next(request)
    except Exception:
        on_server_error(request, change)
        raise
    if not response.started:
        # A file is looked for only when it is sent.
        on_server_error(request, change)
    change(request, response)
    return response


class ExceptionLayer(ExceptionMiddleware):
    """Starlette's exception layer, which leaves a WebSocket's `send` as it is.

    What Starlette's layer watches for are the messages of HTTP.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await super().__call__(scope, receive, send)
            return

        async def app(scope: Scope, receive: Receive, watched: Send) -> None:
            await self.app(scope, receive, send)

        scope["starlette.exception_handlers"] = (self._exception_handlers, self._status_handlers)
        await wrap_app_handling_exceptions(app, WebSocket(scope, receive, send))(scope, receive, send)


class Errors:
    """The exception handlers of one application.

    Args:
        handlers: By status code or exception class; 500 and `Exception` belong to the outer layer.
        debug: Whether a traceback is the answer to an unhandled exception.
        observers: Functions that are told of unhandled exceptions; see `Velithon.add_error_observer`.
    """

    def __init__(
        self,
        handlers: Mapping[int | type[Exception], ExceptionHandler],
        debug: bool,
        observers: Sequence[ErrorObserver] = (),
    ) -> None:
        self.debug = debug
        self.observers = observers
        self.server_handler: ExceptionHandler | None = None
        inner: dict[int | type[Exception], ExceptionHandler] = {}
        for key, handler in add_namesakes(handlers).items():
            if key in (500, Exception):
                self.server_handler = handler
            else:
                inner[key] = handler
        # Starlette's layer keeps the look-up tables, and is itself what WebSockets and ASGI applications run behind.
        # Instruments that patch it do so when a `Middleware` of it is made, as Starlette makes one.
        made: Any = Middleware(ExceptionMiddleware, handlers=inner, debug=debug)
        self.layer = made.cls(_do_nothing, *made.args, **made.kwargs)
        self.tables: tuple[dict[type[Exception], ExceptionHandler], dict[int, ExceptionHandler]] = (
            self.layer._exception_handlers,
            self.layer._status_handlers,
        )
        self.inside = InnerErrors(self)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return `app` behind Starlette's exception layer, with these handlers."""
        layer = ExceptionLayer(app, debug=self.debug)
        layer._exception_handlers, layer._status_handlers = self.tables
        return layer

    def find(self, exc: Exception) -> ExceptionHandler | None:
        """Return the handler that a user, or the application by default, has for an exception.

        `None` for none.
        """
        by_class, by_status = self.tables
        if isinstance(exc, HTTPException):
            handler = by_status.get(exc.status_code)
            if handler is not None:
                return handler
        for cls in type(exc).__mro__:
            if cls in by_class:
                return by_class[cls]
        return None

    async def respond(self, request: Request, exc: Exception) -> Response:
        """Answer with the handler that a user registered for this exception.

        Raises:
            Exception: `exc` itself, where nobody handles it.
        """
        handler = self.find(exc)
        if handler is None:
            raise exc
        response = await _call(handler, request, exc)
        # An exception instance that is raised again collects a longer traceback each time.
        exc.__traceback__ = None
        return response if isinstance(response, Response) else to_response(response, request)

    async def answer(self, request: Request, exc: Exception, response: Response | None) -> None:
        """Send the outermost layer's answer to an exception, then raise it to the server.

        Args:
            request: What was asked.
            exc: What was raised.
            response: The response that failed while it was sent; `None` when there was none yet.

        Raises:
            Exception: `exc`, unless a handler answered it.
            RuntimeError: Somebody handles `exc`, but the response was on its way.
        """
        if isinstance(exc, ContentTooLarge) and response is None:
            # A layer read the body: no fault of the application.
            await send(request, await self.respond(request, exc))
            return
        try:
            await self.inside.answer(request, exc, response)
        except Exception as raised:
            await self.observe(request, raised)
            if raised is exc and (response is None or not response.started):
                await send(request, await self.server_error(request, exc))
            raise

    async def observe(self, request: HTTPConnection, exc: Exception) -> None:
        """Tell the observers; what one of them raises is logged, and is nobody else's problem."""
        for observer in self.observers:
            try:
                result = observer(request, exc)
                if isawaitable(result):
                    await result
            except Exception:
                logger.exception("The error observer %r failed.", observer)

    def watch(self, app: ASGIApp) -> ASGIApp:
        """Return an ASGI application that reports its exceptions to the observers.

        The exceptions go on to the server.
        """

        async def observing(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                if scope["type"] == "websocket":
                    await refuse_unanswered(app, scope, receive, send)
                else:
                    await app(scope, receive, send)
            except Exception as exc:
                if scope["type"] != "lifespan" and self.observers:
                    http = scope["type"] == "http"
                    await self.observe(Request(scope, receive) if http else WebSocket(scope, receive, send), exc)
                raise

        return observing

    async def server_error(self, request: Request, exc: Exception) -> Response:
        """Make the 500 response.

        It is the debug page in debug mode, else that of the user's handler, else the default one.
        """
        response: object
        if self.debug:
            from velithon.pages.debug import build_debug_response

            response = await run_in_threadpool(build_debug_response, request, exc)
        elif self.server_handler is not None:
            response = await _call(self.server_handler, request, exc)
        else:
            response = build_server_error(request)
        if not isinstance(response, Response):
            response = to_response(response, request)
        for hook in request.scope.get(ERROR_HOOKS, ()):
            hook(request, response)
        return response


class InnerErrors:
    """Users' exception handlers inside a layer, without the 500 response.

    The layer sees the answer that a handler gives. The 500 response is made outside of all layers.
    """

    def __init__(self, errors: Errors) -> None:
        self.errors = errors

    async def answer(self, request: Request, exc: Exception, response: Response | None) -> None:
        """Send a handler's answer to what was raised while a response was sent.

        A missing file, for example, is noticed only then.

        Args:
            request: What was asked.
            exc: What was raised.
            response: The response that failed while it was sent; `None` when there was none yet.

        Raises:
            Exception: `exc`, unless a handler answered it.
            RuntimeError: Somebody handles `exc`, but the response was on its way.
        """
        if response is None or not response.inside or self.errors.find(exc) is None:
            raise exc
        if response.started:
            if isinstance(exc, ClientDisconnect):
                log_disconnect(request)
                return
            raise RuntimeError("Caught handled exception, but response already started.") from exc
        await send(request, await self.errors.respond(request, exc))


class SurroundingErrors:
    """The exception handlers around a router that another application includes.

    They get the endpoint's own request, of which the body may have been read.

    They are those of the nearest `ExceptionMiddleware`, Starlette's or ours, which leaves them in the scope.
    """

    async def answer(self, request: Request, exc: Exception, response: Response | None) -> None:
        """Send a handler's answer.

        Args:
            request: What was asked.
            exc: What was raised.
            response: The response that failed while it was sent; `None` when there was none yet.

        Raises:
            Exception: `exc`, unless a handler answered it.
        """
        if response is not None and response.started:
            raise exc

        async def failed(scope: Scope, receive: Receive, send: Send) -> None:
            raise exc

        await wrap_app_handling_exceptions(failed, request)(request.scope, request._receive, request._send)


async def send(request: Request, response: Response) -> None:
    """Send a response over the face that the request came in by."""
    if isinstance(request, RSGIRequest):
        await (send_custom(response, request) if response.overridden else response(request._rsgi, request._protocol))
    else:
        await response(request.scope, request._receive, request._send)


# Looking at a function takes longer than answering a 404 does.
_is_async = lru_cache(maxsize=1024)(is_async_callable)


async def _call(handler: ExceptionHandler, request: Request, exc: Exception) -> object:
    if _is_async(handler):
        return await handler(request, exc)
    return await run_in_threadpool(handler, request, exc)


async def _do_nothing(scope: object, receive: object, send: object) -> None:
    """Stand in for the application of a layer that only keeps tables."""
