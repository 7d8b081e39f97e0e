"""Routes: Starlette's, with FastAPI's options, answering on both faces."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Unpack

from starlette import routing as starlette
from starlette.endpoints import HTTPEndpoint as StarletteHTTPEndpoint
from starlette.endpoints import WebSocketEndpoint as StarletteWebSocketEndpoint
from starlette.routing import BaseRoute, Match, get_name

from velithon import signature
from velithon._compat.starlette import wrap_app_handling_exceptions
from velithon.compat.guise import Guised
from velithon.compat.routes import Described, Replaceable, respond_with
from velithon.datastructures import Default, DefaultPlaceholder
from velithon.endpoint import build_method_endpoint, is_asgi, list_methods
from velithon.exceptions import HTTPException, RegistrationError
from velithon.faces.serve import build_asgi_app
from velithon.requests.request import Request
from velithon.responses.json import JSONResponse
from velithon.routing.compiled import read_compiled_path
from velithon.routing.limits import build_limited, find_form_limits
from velithon.routing.lists import WatchedList
from velithon.routing.mounts import adopt_mount
from velithon.routing.options import RouteOptions, WebSocketOptions, check_options
from velithon.routing.table import PREDICTABLE
from velithon.signature.plan_cache import Overrides, PlanCache
from velithon.websocket.readahead import WebSocketReadAhead, is_silent
from velithon.websocket.trampoline import run_at_bottom

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.faces.serve import HandlingOwner, Responder, RouteHandler
    from velithon.params import Depends
    from velithon.signature import EndpointModel, ResponseOptions
    from velithon.websocket.connection import WebSocket
    from velithon.websocket.endpoint import EndpointClass

__all__ = [
    "APIRoute",
    "APIWebSocketRoute",
    "Route",
    "WebSocketRoute",
]


def generate_unique_id(route: Route) -> str:
    """Return FastAPI's operation id: the name, the path and the first method, in word characters."""
    operation_id = re.sub(r"\W", "_", f"{route.name}{route.path_format}")
    return f"{operation_id}_{next(iter(route.methods)).lower()}"


class Route(Guised, Replaceable, starlette.Route):
    """An HTTP route.

    Args:
        path: Starts with `/`; parameters are `{name}` or `{name:convertor}`.
        endpoint: A function, an `HTTPEndpoint` class, or an ASGI application.
        methods: `GET` by default; for a class, those it defines. `GET` answers `HEAD` too.
        dependency_overrides_provider: Whose `dependency_overrides` count; by default the application's.
        options: See `RouteOptions`.

    Raises:
        RegistrationError: The signature cannot be served; names the endpoint, the parameter and the cure.
    """

    methods: Any
    # Fast path: the endpoint, and what makes a response of its value; set, from the first request on, when the endpoint
    # has no arguments and no middleware.
    direct_call: tuple[Callable[[], Awaitable[object]], Callable[..., object]] | None = None
    # Fast path: the plan over an RSGI scope and the values in the path, set when the endpoint reads no more.
    scope_plan: Callable[..., Awaitable[object]] | None = None
    # Whether routers keep it apart, for what none of their routes has.
    is_frontend = False

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., object],
        *,
        methods: Collection[str] | None = None,
        dependency_overrides_provider: HandlingOwner | None = None,
        **options: Unpack[RouteOptions],
    ) -> None:
        check_options("Route", options, RouteOptions)
        self.path = path
        self.endpoint = endpoint
        self.options = options
        self.path_regex, self.path_format, self.param_convertors = read_compiled_path(path, endpoint)
        self.name = options.get("name") or get_name(endpoint)
        self._take_options(options)
        self._read(endpoint, methods)
        unique_id = self.generate_unique_id_function
        if isinstance(unique_id, DefaultPlaceholder):
            unique_id = unique_id.value
        self.unique_id = self.operation_id or (unique_id(self) if self.methods else self.name)
        self._own_app = build_asgi_app(self._respond)
        self._provider = dependency_overrides_provider

    def _take_options(self, options: RouteOptions) -> None:
        self._response_model = options.get("response_model", Default(None))
        self.response_model_include = options.get("response_model_include")
        self.response_model_exclude = options.get("response_model_exclude")
        self.response_model_by_alias = options.get("response_model_by_alias", True)
        self.response_model_exclude_unset = options.get("response_model_exclude_unset", False)
        self.response_model_exclude_defaults = options.get("response_model_exclude_defaults", False)
        self.response_model_exclude_none = options.get("response_model_exclude_none", False)
        self.response_class = options.get("response_class", Default(JSONResponse))
        status_code = options.get("status_code")
        self.status_code = None if status_code is None else int(status_code)
        self.dependencies: WatchedList[Depends] = WatchedList(options.get("dependencies") or (), self._read_again)
        self.middleware = list(options.get("middleware") or ())
        self.max_body_size = options.get("max_body_size")
        self.form_limits = options.get("form_limits") or {}
        self.strict_content_type = options.get("strict_content_type", Default(True))
        self.raises = list(options.get("raises") or ())
        self.tags = list(options.get("tags") or ())
        self.summary = options.get("summary")
        description = options.get("description") or inspect.cleandoc(self.endpoint.__doc__ or "")
        self.description = description.split("\f")[0].strip()
        self.response_description = options.get("response_description", "Successful Response")
        self.responses = options.get("responses") or {}
        self.deprecated = options.get("deprecated")
        self.operation_id = options.get("operation_id")
        self.include_in_schema = options.get("include_in_schema", True)
        self.callbacks = options.get("callbacks")
        self.openapi_extra = options.get("openapi_extra")
        self.generate_unique_id_function = options.get("generate_unique_id_function", Default(generate_unique_id))

    def _read(self, endpoint: Callable[..., object], methods: Collection[str] | None) -> None:
        """Read the signatures, once: `model` for a function, `models` by method for a class, neither for ASGI."""
        self.model: EndpointModel | None = None
        self.models: dict[str, EndpointModel] = {}
        if inspect.isclass(endpoint) and issubclass(endpoint, StarletteHTTPEndpoint):
            found = list_methods(endpoint)
            self.methods = {method.upper() for method in methods} if methods is not None else set(found)
            self.models = {
                name: self._read_model(build_method_endpoint(endpoint, method))
                for name, method in found.items()
                if name in self.methods or (name == "HEAD" and "GET" in self.methods)
            }
        elif is_asgi(endpoint):
            self.methods = None if methods is None else {method.upper() for method in methods}
            if self.dependencies:
                self.include_in_schema = False
                self.model = self._read_model(respond_with(endpoint))
        else:
            # A dict keeps the order of declaration; what takes "the first method" must not depend on hashing.
            self.methods = dict.fromkeys(method.upper() for method in methods or ("GET",)).keys()
            self.model = self._read_model(endpoint)
        for method, call in {**dict.fromkeys(self.methods or (), endpoint), **_list_calls(self.models)}.items():
            if method not in ("GET", "HEAD") and hasattr(call, "__velithon_cache__"):
                raise RegistrationError(
                    f"@cache keeps responses to GET, and this endpoint answers {method}: give that one of its own",
                    endpoint=call,
                )

    def _read_again(self) -> None:
        """Read the signature with dependencies that were changed; they count from the next request on."""
        self.check_not_replaced()
        self.options = {**self.options, "dependencies": list(self.dependencies)}
        self._read(self.endpoint, self.methods)
        self.forget()

    def _read_model(self, call: Callable[..., object]) -> EndpointModel:
        model = signature.read_endpoint(
            call, path=self.path, kind="http", dependencies=self.dependencies, name=self.name
        )
        if hasattr(model.call, "__velithon_cache__"):
            from velithon.cache.route import read_key_headers

            # Raises where the key cannot hold them all.
            read_key_headers(model)
        # A wrong response model is told here, not by the first request.
        signature.read_outcome(model, self.response_options)
        signature.check_declared(model, self.responses)
        return model

    @property
    def allowed_methods(self) -> set[str]:
        """The methods that are answered: those declared and, in a class, defined.

        And `HEAD` where there is `GET`.
        """
        methods = set(self.models or self.methods or ())
        if "GET" in methods:
            methods.add("HEAD")
        return methods

    @property
    def response_options(self) -> ResponseOptions:
        """How results become responses, as the signature compiler takes it."""
        return signature.ResponseOptions(
            response_model=self._response_model,
            response_class=self.response_class,
            status_code=self.status_code,
            include=self.response_model_include,
            exclude=self.response_model_exclude,
            by_alias=self.response_model_by_alias,
            exclude_unset=self.response_model_exclude_unset,
            exclude_defaults=self.response_model_exclude_defaults,
            exclude_none=self.response_model_exclude_none,
        )

    @property
    def body_limit(self) -> int | None:
        """The `max_body_size` that counts: the route's own, else the application's; in bytes."""
        if self.max_body_size is not None or self._provider is None:
            return self.max_body_size
        return self._provider.max_body_size

    @property
    def all_form_limits(self) -> dict[str, int]:
        """The `form_limits` that count: the route's own, and the application's where it says nothing."""
        return {**find_form_limits(getattr(self._provider, "router", None)), **self.form_limits}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as Starlette's route does; `HEAD` is answered where `GET` is."""
        match, child_scope = super().matches(scope)
        if match is Match.PARTIAL and scope["method"] in self.allowed_methods:
            match = Match.FULL
        return match, child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer over ASGI, under a router that is not Velithon's."""
        if self.methods and scope["method"] not in self.allowed_methods:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.allowed_methods))})
        conn = Request(scope, receive, send)
        await wrap_app_handling_exceptions(self.app, conn)(scope, receive, send)

    def get_route_handler(self) -> RouteHandler:
        """Return what answers a request: `async handler(request) -> Response`. Subclasses may wrap it."""
        if self.model is not None:
            self._made = self._compile_handler(self.model, self.methods or ())
        else:
            self._made = self._compile_class_handler() if self.models else respond_with(self.endpoint)
        return self._made

    @functools.cached_property
    def _endpoint_handler(self) -> RouteHandler:
        return self.get_route_handler()

    def _compile_handler(self, model: EndpointModel, methods: Collection[str]) -> Responder:
        compiled = functools.partial(
            signature.compile_http,
            _trace(model, self._provider),
            self.response_options,
            strict_content_type=_read_flag(self.strict_content_type),
            form_limits=self.all_form_limits,
            methods=methods,
        )
        plan = compiled()
        respond = self._heed_overrides(model, plan, compiled)
        if not hasattr(model.call, "__velithon_cache__"):
            return respond
        from velithon.cache.route import build_cached_responder

        return build_cached_responder(self, model, respond)

    def _heed_overrides(self, model: EndpointModel, plan: Responder, compiled: Callable[..., Responder]) -> Responder:
        """Return a plan that heeds `dependency_overrides`."""
        provider = self._provider
        if provider is None or not model.dependencies:
            return plan
        overridden = PlanCache(lambda overrides: compiled(overrides=overrides))

        def handler(request: Request) -> Awaitable[object]:
            overrides = provider.dependency_overrides
            return overridden.get(overrides)(request) if overrides else plan(request)

        return handler

    def _compile_class_handler(self) -> Responder:
        handlers = {method: self._compile_handler(model, [method]) for method, model in self.models.items()}
        if "GET" in handlers:
            handlers.setdefault("HEAD", handlers["GET"])
        allow = ", ".join(sorted(handlers))

        def handler(request: Request) -> Awaitable[object]:
            answer = handlers.get(request.method)
            if answer is None:
                raise HTTPException(405, headers={"Allow": allow})
            return answer(request)

        return handler

    def respond(self, request: Request) -> Awaitable[object]:
        """Answer a request; the plan is made when the first one arrives."""
        self.respond = self._build()  # type: ignore[assignment, method-assign]  # the compiled plan takes the place of this method
        return self.respond(request)

    def _respond(self, request: Request) -> Awaitable[object]:
        # An application that was assigned may call this one, which is the endpoint's then.
        return self.respond(request) if self._replacement is None else self._endpoint_handler(request)

    def _build(self) -> Responder:
        respond: Any = self._replacement or self.get_route_handler()
        if getattr(respond, "__velithon_plan__", None) is respond:
            self.direct_call = getattr(respond, "__velithon_direct_call__", None)
            self.scope_plan = getattr(respond, "__velithon_scope_plan__", None)
        limit = self.body_limit
        if limit is not None:
            respond = build_limited(respond, limit)
            self.direct_call = self.scope_plan = None
        if self.middleware:
            from velithon.middleware.stack import build_route_stack

            respond = build_route_stack(respond, self.middleware, self._provider)
            self.direct_call = self.scope_plan = None
        return respond  # type: ignore[no-any-return]  # layers of applications are untyped

    def __repr__(self) -> str:
        methods = sorted(self.allowed_methods)
        return f"{type(self).__name__}(path={self.path!r}, name={self.name!r}, methods={methods!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Route) and (self.path, self.endpoint, set(self.methods or ())) == (
            other.path,
            other.endpoint,
            set(other.methods or ()),
        )

    __hash__ = object.__hash__


APIRoute = Route
PREDICTABLE.add(Route.matches)


def _list_calls(models: dict[str, EndpointModel]) -> dict[str, Callable[..., object]]:
    return {method: model.call for method, model in models.items()}


def _read_flag(option: object) -> bool:
    return bool(option.value if isinstance(option, DefaultPlaceholder) else option)


def _trace(model: EndpointModel, owner: HandlingOwner | None) -> EndpointModel:
    """Return the model of an endpoint whose calls have a span of their own, where its application wants that."""
    telemetry = getattr(owner, "_telemetry", None)
    return model if telemetry is None else telemetry.trace_model(model)


class WebSocketRoute(Guised, Described, starlette.WebSocketRoute):
    """A WebSocket route.

    Args:
        path: Starts with `/`; parameters are `{name}` or `{name:convertor}`.
        endpoint: `async endpoint(websocket, ...)`, a `WebSocketEndpoint` class, or an ASGI application.
        name: For `url_path_for`.
        dependency_overrides_provider: As of `Route`.
        options: See `WebSocketOptions`.

    Raises:
        RegistrationError: The signature cannot be served; names the endpoint, the parameter and the cure.
        TypeError: An option that does not exist.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., object],
        *,
        name: str | None = None,
        dependency_overrides_provider: HandlingOwner | None = None,
        **options: Unpack[WebSocketOptions],
    ) -> None:
        check_options("WebSocketRoute", options, WebSocketOptions)
        if hasattr(endpoint, "__velithon_cache__"):
            raise RegistrationError("@cache keeps responses to GET; a WebSocket has none.", endpoint=endpoint)
        self.path = path
        self.endpoint = endpoint
        self.name = name or get_name(endpoint)
        self.options = options
        self.dependencies: WatchedList[Depends] = WatchedList(options.get("dependencies") or (), self._read_again)
        self.middleware = list(options.get("middleware") or ())
        self.path_regex, self.path_format, self.param_convertors = read_compiled_path(path, endpoint)
        self.model: EndpointModel | None = None
        self._class: EndpointClass | None = None
        self._provider = dependency_overrides_provider
        self._own_app: ASGIApp = self._run_session
        self.app = self._own_app
        self._read_again()

    def _read_again(self) -> None:
        """Read the signature, again where dependencies were changed; they count from the next connection on."""
        self.check_not_replaced()
        self.options = {**self.options, "dependencies": list(self.dependencies)}
        self._plans = PlanCache(self._compile)
        self.app = self._own_app = self._wrap_in_layers(self._build_innermost(self.endpoint))

    @property
    def is_replaced(self) -> bool:
        """Whether another application than the endpoint's answers."""
        return self.app is not self._own_app

    def _build_innermost(self, endpoint: Any) -> ASGIApp:
        if inspect.isclass(endpoint) and issubclass(endpoint, StarletteWebSocketEndpoint):
            from velithon.websocket.endpoint import EndpointClass

            if endpoint.dispatch is StarletteWebSocketEndpoint.dispatch:
                self._class = EndpointClass(endpoint, path=self.path, dependencies=self.dependencies, name=self.name)
                return self._run_session
        if inspect.isclass(endpoint) or is_asgi(endpoint):
            if self.dependencies:
                problem = (
                    "Dependencies need a function or a WebSocketEndpoint class: an ASGI application has no signature."
                )
                raise RegistrationError(problem, endpoint=endpoint)
            return endpoint  # type: ignore[no-any-return]  # layers of applications are untyped
        self.model = signature.read_endpoint(
            endpoint, path=self.path, kind="websocket", dependencies=self.dependencies, name=self.name
        )
        return self._run_session

    def _wrap_in_layers(self, app: ASGIApp) -> ASGIApp:
        heartbeat, origins = self.options.get("heartbeat"), self.options.get("allowed_origins")
        if heartbeat is not None:
            from velithon.websocket.heartbeat import add_heartbeat

            app = add_heartbeat(app, heartbeat)
        if origins is not None:
            from velithon.websocket.origins import allow_origins

            app = allow_origins(app, origins)
        if self.middleware:
            from velithon.middleware.stack import build_websocket_stack

            app = build_websocket_stack(app, self.middleware)
        return app

    async def _run_session(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_silent(scope):
            await self._run(scope, receive, send)
            return
        ahead = WebSocketReadAhead(receive, send)
        try:
            await self._run(scope, ahead.receive, ahead.send)
        finally:
            ahead.stop()

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        from velithon.websocket.connection import build_websocket

        websocket = build_websocket(scope, receive, send)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            overrides = {} if self._provider is None else self._provider.dependency_overrides
            if self._class is not None:
                await run_at_bottom(scope, self._class.run(websocket, dict(overrides)))
            else:
                await run_at_bottom(scope, self._plans.get(overrides)(websocket))  # type: ignore[arg-type] # an `async def`

        await wrap_app_handling_exceptions(app, websocket)(scope, receive, send)

    def _compile(self, overrides: Overrides) -> Callable[[WebSocket], Awaitable[None]]:
        assert self.model is not None
        return signature.compile_websocket(_trace(self.model, self._provider), overrides=overrides or None)


APIWebSocketRoute = WebSocketRoute


def _adopt_item(argument: object) -> Any:
    """Return what is put into a list of routes, with routes of ours for FastAPI's, and mounts for Starlette's."""
    if isinstance(argument, BaseRoute):
        argument = adopt_mount(argument)
    elif isinstance(argument, Iterable):
        argument = [adopt_mount(route) for route in argument]
    if "fastapi.routing" not in sys.modules:
        return argument
    from velithon.compat.routers import Classes, adopt_route, adopt_routes

    classes = Classes(Route, WebSocketRoute)
    if isinstance(argument, BaseRoute):
        return adopt_route(argument, classes)
    return list(adopt_routes(argument, classes)) if isinstance(argument, Iterable) else argument


class RouteList(WatchedList[BaseRoute]):
    """A router's routes.

    Args:
        routes: The first ones.
        changed: Called at every change.
    """

    def __init__(self, routes: Iterable[BaseRoute], changed: Callable[[], None]) -> None:
        super().__init__(map(adopt_mount, routes), changed)

    def _adopt(self, argument: object) -> Any:
        return _adopt_item(argument)
