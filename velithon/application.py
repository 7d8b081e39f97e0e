"""The application: Starlette's, with FastAPI's options and two faces."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

from velithon import signature
from velithon._runtime.layers import LayerFactory, P, check_layer, order_layers
from velithon._runtime.lazy import lazy_function
from velithon._runtime.lifetime import Lifetime
from velithon._runtime.startup import watch_startup
from velithon.background import InFlight
from velithon.compat.instruments import explain_detour
from velithon.concurrency import ThreadPool, use_thread_pool
from velithon.datastructures import Default
from velithon.exception_handlers import (
    build_not_found,
    client_disconnect_handler,
    http_exception_handler,
    problem_handlers,
    request_validation_exception_handler,
    websocket_request_validation_exception_handler,
)
from velithon.exceptions import HTTPException, RequestValidationError, WebSocketRequestValidationError
from velithon.faces.capture import build_call_next
from velithon.faces.entry import build_router_call_next, build_rsgi_entry
from velithon.faces.serve import adapt_asgi_layer, build_asgi_app, respond_with_layers
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.errors import Errors, ServerErrorMiddleware
from velithon.middleware.stack import Stack, build_stack
from velithon.responses.json import JSONResponse
from velithon.routing.options import AppOptions, check_options, check_size
from velithon.routing.router import Router
from velithon.routing.verbs import ApplicationVerbs
from velithon.websocket.trampoline import run_trampoline
from velithon_adapters import RSGIAdapter
from velithon_adapters.scope import put_below

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from starlette.routing import BaseRoute
    from starlette.routing import Router as StarletteRouter
    from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

    from velithon._runtime.json_values import JSONObject
    from velithon.channels import Channels
    from velithon.faces.serve import Responder, RSGIApp
    from velithon.jobs import Jobs
    from velithon.middleware.errors import ErrorObserver
    from velithon.requests.request import Request
    from velithon.responses.base import Response
    from velithon.routing.frontend import FrontendFiles
    from velithon.routing.handlers import F
    from velithon.routing.options import ResponseClass, RouteOptions, SharedOptions, WebSocketOptions
    from velithon.stores import Store
    from velithon.telemetry import Telemetry, TelemetryConfig

__all__ = ["Velithon"]


class Velithon(ApplicationVerbs, Lifetime, Starlette):
    """A web application that any ASGI server can hold, and that Granian calls over RSGI.

    Args:
        debug: Whether a traceback is the answer to an unhandled exception.
        routes: The first routes.
        middleware: Layers around everything; the last one runs first.
        exception_handlers: By status code or exception class: `handler(request, exc) -> Response`, sync or async.
        lifespan: `async with lifespan(app)` stands around the time in which the application serves. What it yields is
            in `request.state`.
        on_startup: Functions that run before the first request. `on_shutdown`: after the last.
        title: For the document: likewise `summary`, `description`, `version`, `terms_of_service`, `contact`,
            `license_info`, `servers`, `openapi_tags`, `openapi_external_docs`, `webhooks`.
        openapi_url: Where the document is served; `None` serves neither it nor its pages.
        docs_url: Where the document is shown; `None` nowhere. Likewise `redoc_url`, `swagger_ui_oauth2_redirect_url`.
        docs_viewer: By what: our own page, or `swagger`, `redoc`, `scalar`, `rapidoc`, `elements`.
        swagger_ui_init_oauth: OAuth2 settings of that page. `swagger_ui_parameters`: its further settings.
        separate_input_output_schemas: Whether a model that reads and writes differently has two schemas.
        root_path: The path under which a proxy serves the application.
        root_path_in_servers: Whether the document names it as a server.
        redirect_slashes: Whether a path that only misses, or only has, its last slash is redirected (307).
        default_response_class: The class of responses made of what endpoints return.
        problem_details: Whether errors are answered as RFC 9457 problem documents.
        thread_pool_size: How many sync endpoints and dependencies run at once, in threads of this application's own;
            by default as many as AnyIO's default limiter says (40), shared by all applications of a process.
        background_grace: How long a shutdown waits for background tasks, in seconds.
        tune_gc: Whether a server's process spares the garbage collector what there is once the application has started
            (`gc.freeze`), and has it look at new objects less often. A process that set it up itself is left alone.
        telemetry: Settings of traces, metrics and log events by OpenTelemetry, by FastAPI's names: see
            `velithon.telemetry.TelemetryConfig`. With `None` requests are traced where a provider is set before the
            application starts.
        store: Where rate limits, cached responses and sessions are kept, or its URL (`redis://...`): see
            `velithon.stores`. In this process's memory by default. It is closed with the application.
        channels: What publishes and subscribes by name, or its URL (`redis://...`): see `velithon.channels`. In this
            process by default. They are closed with the application.
        jobs: What does the functions that are jobs, or the URL of its broker (`redis://...`): see `velithon.jobs`. In
            this process by default.
        options: What all routes share: see `AppOptions`.

    Raises:
        TypeError: An option that does not exist.
    """

    router: Router
    _warn_of_mistakes = lazy_function("velithon.checks.startup", "warn_of_mistakes")

    def __init__(
        self,
        debug: bool = False,
        routes: Sequence[BaseRoute] | None = None,
        middleware: Sequence[Middleware] | None = None,
        exception_handlers: Mapping[Any, Callable[..., object]] | None = None,
        lifespan: Lifespan[Any] | None = None,
        *,
        on_startup: Sequence[Callable[[], object]] | None = None,
        on_shutdown: Sequence[Callable[[], object]] | None = None,
        title: str = "Velithon",
        summary: str | None = None,
        description: str = "",
        version: str = "0.1.0",
        terms_of_service: str | None = None,
        contact: JSONObject | None = None,
        license_info: JSONObject | None = None,
        servers: list[JSONObject] | None = None,
        openapi_tags: list[JSONObject] | None = None,
        openapi_external_docs: JSONObject | None = None,
        webhooks: Router | None = None,
        openapi_url: str | None = "/openapi.json",
        docs_url: str | None = "/docs",
        redoc_url: str | None = "/redoc",
        docs_viewer: str = "velithon",
        swagger_ui_oauth2_redirect_url: str | None = "/docs/oauth2-redirect",
        swagger_ui_init_oauth: JSONObject | None = None,
        swagger_ui_parameters: JSONObject | None = None,
        separate_input_output_schemas: bool = True,
        root_path: str = "",
        root_path_in_servers: bool = True,
        redirect_slashes: bool = True,
        default_response_class: ResponseClass = Default(JSONResponse),
        problem_details: bool = False,
        thread_pool_size: int | None = None,
        background_grace: float | None = 10.0,
        tune_gc: bool = True,
        telemetry: TelemetryConfig | None = None,
        store: Store | str | None = None,
        channels: Channels | str | None = None,
        jobs: Jobs | str | None = None,
        **options: Unpack[AppOptions],
    ) -> None:
        check_options("Velithon", options, AppOptions)
        self.debug = debug
        self.title = title
        self.summary = summary
        self.description = description
        self.version = version
        self.terms_of_service = terms_of_service
        self.contact = contact
        self.license_info = license_info
        self.servers = servers or []
        self.openapi_tags = openapi_tags
        self.openapi_external_docs = openapi_external_docs
        self.openapi_version = "3.1.0"
        self.openapi_schema: JSONObject | None = None
        self.webhooks = webhooks or Router()
        self.openapi_url = openapi_url
        self.docs_url = docs_url
        self.redoc_url = redoc_url
        self.docs_viewer = docs_viewer
        self.swagger_ui_oauth2_redirect_url = swagger_ui_oauth2_redirect_url
        self.swagger_ui_init_oauth = swagger_ui_init_oauth
        self.swagger_ui_parameters = swagger_ui_parameters
        self.separate_input_output_schemas = separate_input_output_schemas
        self.root_path = (root_path or "").rstrip("/")
        self.root_path_in_servers = root_path_in_servers
        self.max_body_size = check_size(options.pop("max_body_size", None))
        self._thread_pool = None if thread_pool_size is None else ThreadPool(thread_pool_size)
        self.background_grace = background_grace
        self.tune_gc = tune_gc
        self._telemetry: Telemetry | None = None
        if telemetry is not None:
            from velithon.telemetry import Telemetry

            self._telemetry = Telemetry(telemetry)
        self.state = State()
        self.extra: JSONObject = {}
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        self.containers = []
        self._store = store
        self._stores = []
        self._channels = channels
        if jobs is not None:
            self.jobs = jobs
        self._in_flight = InFlight()
        self._app_values = signature.AppValues()
        self._lifespan_state: dict[str, object] = {}
        self._bridge = RSGIAdapter(self, "on")  # carries WebSockets and the lifespan from RSGI to the ASGI face
        self._entry: RSGIApp | None = None
        self.error_observers: list[ErrorObserver] = []
        self.exception_handlers = self._join_handlers(exception_handlers or {}, problem_details)
        self.user_middleware = order_layers(middleware or ())
        self._stack: ASGIApp | None = None
        # What `__call__` runs: the stack, or what an instrument put around it.
        self._way: ASGIApp | None = None
        self._outermost: Responder | None = None
        self._missing: Response | None = None
        self._detour: str | None = None
        self.router = Router(
            redirect_slashes=redirect_slashes,
            lifespan=lifespan,
            on_startup=on_startup,
            on_shutdown=on_shutdown,
            default_response_class=default_response_class,
            dependency_overrides_provider=self,
            **options,
        )
        self.router.resources = self._hold_resources
        self.router.finish_work = self._finish_work
        for route in routes or ():
            self.router.add_existing(route)
        self.on_startup, self.on_shutdown = self.router.on_startup, self.router.on_shutdown
        self.setup()

    @staticmethod
    def _join_handlers(given: Mapping[Any, Callable[..., object]], problem_details: bool) -> dict[Any, Any]:
        if problem_details:
            return {**problem_handlers(), **given}
        return {
            StarletteHTTPException: http_exception_handler,
            ClientDisconnect: client_disconnect_handler,
            RequestValidationError: request_validation_exception_handler,
            WebSocketRequestValidationError: websocket_request_validation_exception_handler,
            **given,
        }

    def setup(self) -> None:
        """Add the routes of the document and its pages."""
        from velithon.openapi import setup

        setup(self)

    def openapi(self) -> JSONObject:
        """Return the OpenAPI document. Replace this method to change it."""
        from velithon.openapi import build_document

        return build_document(self)

    # -- the two faces --------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer over ASGI."""
        if self.root_path and scope["type"] != "lifespan":
            put_below(scope, self.root_path)
        scope["app"] = self
        if "router" not in scope:
            scope["router"] = self.router
        app = self._way or self._compose()
        if scope["type"] == "websocket":
            await run_trampoline(scope, app(scope, receive, send))  # type: ignore[arg-type] # an `async def`
            return
        await app(scope, receive, send)

    @property
    def __rsgi__(self) -> RSGIApp:
        """What answers over RSGI: `async (scope, protocol) -> None`. A server fetches it once."""
        entry = self._entry
        if entry is None:
            entry = self._entry = build_rsgi_entry(self)
        return entry

    def _get_composed(self) -> tuple[Errors, Responder | None, Response | None]:
        """Return the exception handlers; where there are layers, the outermost responder; and the kept 404, if any."""
        if self._way is None:
            self._compose()
        return self._errors, self._outermost, self._missing

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start up, when a Granian worker starts.

        Raises:
            LifespanError: The lifespan or a startup function raised; the worker ends.
        """
        # A process may run one application several times, as tests do; each time has a lifespan of its own.
        self._bridge = RSGIAdapter(self, "on")
        lifespan = self._bridge.lifespan
        loop.run_until_complete(lifespan.startup())
        self._lifespan_state = lifespan.state

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """End WebSockets, finish background work and shut down, when a Granian worker stops."""
        self._bridge.__rsgi_del__(loop)

    def _run_websocket(self, scope: Any, protocol: object) -> Awaitable[None]:
        self._bridge.root_path = self.root_path
        return self._bridge.__rsgi__(scope, protocol)

    def _compose(self) -> ASGIApp:
        """Compose the layers for both faces; from here on none can be added."""
        # An instrument may have replaced what Starlette would call; then both faces call it.
        way = None if explain_detour(self) else self._build_direct()
        self._detour = explain_detour(self)  # again: a layer may have patched it as it was made
        if way is not None and self._detour is None:
            self._stack = self._way = way
            return way
        if self._stack is None:
            self._stack = self.build_middleware_stack()
        # For what comes out of the detour, which has told the observers.
        self._errors = Errors(self.exception_handlers, self.debug)
        self._outermost = respond_with_layers(self, adapt_asgi_layer(self, self))
        self._missing, self._way = None, partial(Starlette.__call__, self)
        return self._way

    def _build_stack(self) -> Stack:
        """Make the exception handlers and, around the router, all layers."""
        if self._telemetry is None and "opentelemetry.trace" in sys.modules:
            from velithon.telemetry import global_telemetry

            self._telemetry = global_telemetry()
        handlers, layers = self.exception_handlers, self.user_middleware
        if self._telemetry is not None:
            handlers, layers = self._telemetry.around(self)
        # Nothing stands around the router: an RSGI server's request goes straight to it.
        self._plain = not layers and self._thread_pool is None and not self.root_path
        self._errors = errors = Errors(handlers, self.debug, self.error_observers)
        router = self.router
        # Sent to everybody who asks for a path without a route, where no layer sees it and no handler would make it.
        self._missing = build_not_found() if errors.find(HTTPException(404)) is http_exception_handler else None
        pool, inside = self._thread_pool, router.respond
        if pool is not None:

            def respond_in_pool(request: Request) -> Awaitable[object]:
                use_thread_pool(pool)
                return router.respond(request)

            inside = respond_in_pool

        async def respond(request: Request) -> object:
            try:
                return await inside(request)
            except Exception as exc:  # noqa: BLE001 - raised again where nobody handles it
                return await errors.respond(request, exc)

        call_next = build_router_call_next(router, errors) if pool is None else build_call_next(inside, errors)
        return build_stack(respond, errors.wrap(router), layers, self, call_next)

    def _build_direct(self) -> ASGIApp:
        stack = self._build_stack()
        outermost = stack.respond if stack.direct else respond_with_layers(stack.asgi, stack.build_rsgi_form(self))
        self._outermost = None if self._plain else outermost
        return self._wrap(build_asgi_app(outermost, otherwise=self._errors.watch(stack.asgi), errors=self._errors))

    def _wrap(self, inside: ASGIApp) -> ASGIApp:
        """Return an ASGI application with the thread pool, and what follows the start."""
        pool, handlers = self._thread_pool, self._errors.tables

        def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if scope["type"] == "lifespan":
                send = watch_startup(self, scope, send, self._telemetry is not None or self._detour is not None)
            elif pool is not None:
                use_thread_pool(pool)
            scope["starlette.exception_handlers"] = handlers
            return inside(scope, receive, send)

        return app if self._telemetry is None else self._telemetry.keep_context(app)

    @property
    def middleware_stack(self) -> ASGIApp | None:
        """The application with its layers, as ASGI; set to `None` it is composed again."""
        return self._stack

    @middleware_stack.setter
    def middleware_stack(self, app: ASGIApp | None) -> None:
        self._stack = app
        self._way = None
        self._entry = None

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with its layers, and Starlette's of server errors around them.

        Only what replaces this method, or calls it, runs through what it returns.
        """
        app = self._wrap(self._build_stack().asgi)
        handler: Any = self._errors.server_error
        return ServerErrorMiddleware(self._errors.watch(app), handler=handler)

    # -- layers and handlers --------------------------------------------------------------------------------------

    def add_middleware(self, middleware_class: LayerFactory[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Put a layer around all others. `middleware_class(app, *args, **kwargs)` makes it.

        Raises:
            RuntimeError: The application has started, or the layer cannot be made of these arguments.
        """
        check_layer(middleware_class, args, kwargs)
        super().add_middleware(middleware_class, *args, **kwargs)  # type: ignore[arg-type]  # of RSGI, perhaps

    def middleware(self, middleware_type: str) -> Callable[[F], F]:
        """Return the decorator that makes `async function(request, call_next)` the outermost layer.

        Raises:
            ValueError: `middleware_type` is not `"http"`.
        """
        if middleware_type != "http":
            raise ValueError(f"The only type of function middleware is 'http', not {middleware_type!r}.")

        def decorator(function: F) -> F:
            self.add_middleware(BaseHTTPMiddleware, dispatch=function)  # type: ignore[arg-type]  # `F` is any function
            return function

        return decorator

    def exception_handler(self, exc_class_or_status_code: int | type[Exception]) -> Callable[[F], F]:
        """Return the decorator that registers a handler of a status or an exception class."""

        def decorator(function: F) -> F:
            self.add_exception_handler(exc_class_or_status_code, function)
            return function

        return decorator

    def add_exception_handler(
        self, exc_class_or_status_code: int | type[Exception], handler: Callable[..., object]
    ) -> None:
        """Let `handler(request, exc) -> Response` answer a status code or an exception class.

        Raises:
            RuntimeError: The application has started.
        """
        if self.middleware_stack is not None:
            raise RuntimeError("Cannot add an exception handler after an application has started")
        self.exception_handlers[exc_class_or_status_code] = handler

    def add_error_observer(self, observer: ErrorObserver) -> None:
        """Let `observer(request, exc)` be told, once, of each exception that no handler answered.

        Args:
            observer: A function, sync or async; its first argument is a `WebSocket` where that failed. It runs before
                the 500 is sent, changes nothing of the answer, and what it raises is logged.
        """
        self.error_observers.append(observer)

    # -- routes ---------------------------------------------------------------------------------------------------

    def add_api_route(
        self,
        path: str,
        endpoint: Callable[..., object],
        *,
        methods: Collection[str] | None = None,
        **options: Unpack[RouteOptions],
    ) -> None:
        """Add a route; see `Route` for the arguments and `RouteOptions` for the options."""
        self.router.add_api_route(path, endpoint, methods=methods, **options)

    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., object],
        name: str | None = None,
        **options: Unpack[WebSocketOptions],
    ) -> None:
        """Add a WebSocket route; see `WebSocketRoute` for the arguments and `WebSocketOptions` for the options."""
        self.router.add_api_websocket_route(path, endpoint, name, **options)

    def mount(self, path: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None) -> None:
        """Serve an ASGI application under a path; see `velithon.routing.Mount` for the arguments."""
        self.router.mount(path, app, name, lifespan=lifespan)

    def host(self, host: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None) -> None:
        """Serve an ASGI application for the requests of one host; see `velithon.routing.Host` for the arguments."""
        self.router.host(host, app, name, lifespan=lifespan)

    def add_frontend(self, path: str, files: FrontendFiles) -> None:
        """Serve files for what no route has; see `frontend`."""
        self.router.add_frontend(path, files)

    def include_router(
        self,
        router: Router | StarletteRouter,
        *,
        prefix: str = "",
        default_response_class: ResponseClass | None = None,
        **options: Unpack[SharedOptions],
    ) -> None:
        """Add the routes of a router; see `Router.include_router`."""
        self.router.include_router(router, prefix=prefix, default_response_class=default_response_class, **options)

    def add_router(self, router: Router, *, prefix: str = "", **options: Unpack[SharedOptions]) -> None:
        """Add the routes of a router: the guide's name for `include_router`."""
        self.include_router(router, prefix=prefix, **options)
