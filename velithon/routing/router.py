"""The router: routes, the options they share, and the table that finds one."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Unpack, cast

from starlette import routing as starlette
from starlette.datastructures import URL
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import BaseRoute, Match

from velithon.datastructures import Default
from velithon.endpoint import annotate_endpoint
from velithon.exceptions import HTTPException, RegistrationError
from velithon.faces.serve import build_asgi_app
from velithon.middleware.errors import SurroundingErrors
from velithon.requests.request import Request
from velithon.responses.app import AppResponse
from velithon.responses.base import PlainTextResponse, RedirectResponse
from velithon.responses.custom import has_own_layers, show_files
from velithon.responses.json import JSONResponse
from velithon.routing.handlers import Handlers, adopt_lifespan
from velithon.routing.mounts import Host, Mount, adopt_mount, find_inner_application, iterate_mounted, start_mounted
from velithon.routing.options import (
    AROUND,
    ResponseClass,
    RouteOptions,
    Shared,
    SharedList,
    SharedMapping,
    SharedOptions,
    WebSocketOptions,
    check_options,
    join_options,
    join_websocket_options,
)
from velithon.routing.routes import Route, RouteList, WebSocketRoute, generate_unique_id
from velithon.routing.table import MISS, Found, Table
from velithon.routing.verbs import Verbs
from velithon.websocket.connection import WebSocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

    from velithon.faces.serve import HandlingOwner
    from velithon.routing.frontend import Frontend, FrontendFiles

__all__ = ["APIRouter", "Router"]


class Router(Verbs, starlette.Router):
    """A list of routes with what they share.

    Args:
        routes: The first routes.
        prefix: Stands before the path of every route added or included here; starts with `/`, does not end with it.
        redirect_slashes: Whether a path that only misses, or only has, its last slash is redirected (307).
        default: The ASGI application for paths that nothing matches; 404 by default.
        lifespan: `async with lifespan(app)` stands around the time in which the application serves.
        on_startup: Functions that run before the first request, sync or async, none with arguments.
        on_shutdown: Functions that run after the last request.
        default_response_class: The class of responses made of what endpoints return.
        route_class: The class of the routes made here.
        dependency_overrides_provider: The application whose `dependency_overrides` count, once it is known.
        options: What the routes share: see `SharedOptions`.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute] | None = None,
        *,
        prefix: str = "",
        redirect_slashes: bool = True,
        default: ASGIApp | None = None,
        lifespan: Lifespan[Any] | None = None,
        on_startup: Sequence[Callable[[], object]] | None = None,
        on_shutdown: Sequence[Callable[[], object]] | None = None,
        default_response_class: ResponseClass | None = None,
        route_class: type[Route] = Route,
        dependency_overrides_provider: HandlingOwner | None = None,
        **options: Unpack[SharedOptions],
    ) -> None:
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise RegistrationError(f"A router's prefix starts with '/' and does not end with it: got {prefix!r}.")
        check_options("Router", options, SharedOptions)
        self._table: Table | None = None
        self.frontends = cast("list[Frontend]", RouteList((), self._forget_table))
        self.dependency_overrides_provider = dependency_overrides_provider
        super().__init__(redirect_slashes=redirect_slashes, default=default, lifespan=adopt_lifespan(lifespan))
        self.prefix = prefix
        self.shared = cast("RouteOptions", dict(options))
        if default_response_class is not None:
            self.shared["response_class"] = default_response_class
        self.route_class = route_class
        self.on_startup, self.on_shutdown = Handlers(on_startup or ()), Handlers(on_shutdown or ())
        # What stands around the lifespan, where an application owns the router.
        self.resources: Callable[[], AbstractAsyncContextManager[object]] | None = None
        # Waits for what is still running, before anything that it may use is closed.
        self.finish_work: Callable[[], Awaitable[None]] | None = None
        # Those that have started it.
        self._tasks: list[object] = []
        self._includes: list[tuple[Router, RouteOptions, str]] = []
        self._included: list[Router] = []
        # The applications in which the one of this router is mounted.
        self.mounted_in: list[HandlingOwner] = []
        self._user_lifespan: Lifespan[Any] = self.lifespan_context
        self.lifespan_context = self.lifecycle  # type: ignore[assignment]  # Starlette's type wants one state or none
        self._http = build_asgi_app(self.respond, errors=SurroundingErrors())
        self._alone = build_asgi_app(self._respond_alone)
        # Starlette's router has layers and a limit for these too, which nobody may lose silently.
        given = {name: value for name, value in options.items() if name in AROUND and value is not None}
        around = cast("RouteOptions", given)
        for route in routes or ():
            self.add_existing(self._join_route(route, around, "") if around else route)

    # -- what the routes share: a change counts for the routes that are added or included after it -----------------

    tags = SharedList("tags")
    dependencies = SharedList("dependencies")
    callbacks = SharedList("callbacks")
    responses = SharedMapping("responses")
    deprecated = Shared("deprecated")
    include_in_schema = Shared("include_in_schema", True)
    default_response_class = Shared("response_class", Default(JSONResponse))
    generate_unique_id_function = Shared("generate_unique_id_function", Default(generate_unique_id))
    strict_content_type = Shared("strict_content_type", Default(True))
    max_body_size = Shared("max_body_size")
    form_limits = Shared("form_limits")

    # -- adding ---------------------------------------------------------------------------------------------------

    def add_api_route(
        self,
        path: str,
        endpoint: Callable[..., object],
        *,
        methods: Collection[str] | None = None,
        route_class_override: type[Route] | None = None,
        **options: Unpack[RouteOptions],
    ) -> None:
        """Add a route; see `Route` and `RouteOptions` for the other arguments."""
        joined = join_options(self.shared, options)
        route_class = route_class_override or self.route_class
        self._add(route_class(self.prefix + path, endpoint, methods=methods, **joined))

    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., object],
        name: str | None = None,
        **options: Unpack[WebSocketOptions],
    ) -> None:
        """Add a WebSocket route; see `WebSocketRoute` for the arguments and `WebSocketOptions` for the options."""
        route = WebSocketRoute(
            self.prefix + path,
            endpoint,
            name=name,
            **join_websocket_options(self.shared, options),
        )
        self._add(route)

    def add_frontend(self, path: str, files: FrontendFiles) -> None:
        """Serve files for what no route has; see `frontend`."""
        from velithon.routing.frontend import Frontend

        self._add(Frontend(self.prefix + path, files, **join_options(self.shared, {})))

    def mount(self, path: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None) -> None:
        """Serve an ASGI application under a path; see `Mount` for the arguments."""
        self._add(self._join_route(Mount(self.prefix + path, app, name=name, lifespan=lifespan), self.shared, ""))

    def host(self, host: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None) -> None:
        """Serve an ASGI application for the requests of one host; see `Host` for the arguments."""
        self._add(self._join_route(Host(host, app, name, lifespan=lifespan), self.shared, ""))

    def include_router(
        self,
        router: Router | starlette.Router,
        *,
        prefix: str = "",
        default_response_class: ResponseClass | None = None,
        **options: Unpack[SharedOptions],
    ) -> None:
        """Add the routes of another router, those that it gets later too.

        Args:
            router: Whose routes.
            prefix: Stands before their paths, after this router's own.
            default_response_class: For routes and routers that chose none.
            options: Shared by these routes: see `Router`.

        Raises:
            RegistrationError: The prefix is malformed, a route would have an empty path, or the router includes itself.
        """
        check_options("include_router", options, SharedOptions)
        if not isinstance(router, Router):
            from velithon.compat.routers import Classes, adopt_router

            router = cast("Router", adopt_router(router, Classes(Route, WebSocketRoute, Router)))
        if router is self or self in router._list_included():
            raise RegistrationError("A router cannot include itself, nor one that includes it.")
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise RegistrationError(f"A router's prefix starts with '/' and does not end with it: got {prefix!r}.")
        if not prefix and not self.prefix:
            for route in router.routes:
                if getattr(route, "path", "/") == "" and not isinstance(route, starlette.Mount):
                    raise RegistrationError(
                        f"Prefix and path cannot both be empty: {getattr(route, 'name', route)!r} needs one of them."
                    )
        given = cast("RouteOptions", dict(options))
        if default_response_class is not None:
            given["response_class"] = default_response_class
        context = join_options(self.shared, given)
        # All of them, before any is added: a router that is refused leaves nothing behind.
        added = [
            self._join_route(route, context, self.prefix + prefix) for route in [*router.routes, *router.frontends]
        ]
        self._included.append(router)
        router._includes.append((self, context, self.prefix + prefix))
        for route in added:
            self._add(route)

    def _list_included(self) -> list[Router]:
        """Return the routers that this one includes, and those that they include."""
        return [found for router in self._included for found in (router, *router._list_included())]

    def add_router(self, router: Router, *, prefix: str = "", **options: Unpack[SharedOptions]) -> None:
        """Add the routes of another router: the guide's name for `include_router`."""
        self.include_router(router, prefix=prefix, **options)

    def _include(self, route: BaseRoute, context: RouteOptions, prefix: str) -> None:
        self._add(self._join_route(route, context, prefix))

    def _join_route(self, route: BaseRoute, context: RouteOptions, prefix: str) -> BaseRoute:
        """Return a route as it is behind a prefix, with what the router shares."""
        added: BaseRoute
        route = adopt_mount(route)
        if isinstance(route, Route | WebSocketRoute):
            route.check_not_replaced()
        if isinstance(route, Route):
            joined = join_options(context, route.options)
            added = type(route)(prefix + route.path, route.endpoint, methods=route.methods, **joined)
        elif isinstance(route, WebSocketRoute):
            added = type(route)(
                prefix + route.path,
                route.endpoint,
                name=route.name,
                **join_websocket_options(context, route.options),
            )
        elif isinstance(route, Mount | Host):
            added = route.below(prefix).behind(context.get("middleware") or (), context.get("max_body_size"))
        elif isinstance(route, starlette.Mount):
            added = type(route)(prefix + route.path, app=route.app, name=route.name)
        elif isinstance(route, starlette.WebSocketRoute):
            endpoint = annotate_endpoint(route.endpoint, route.path, WebSocket)
            added = WebSocketRoute(prefix + route.path, endpoint, name=route.name)
        elif isinstance(route, starlette.Route):
            joined = join_options(context, {"name": route.name, "include_in_schema": route.include_in_schema})
            endpoint = annotate_endpoint(route.endpoint, route.path, Request)
            added = Route(prefix + route.path, endpoint, methods=route.methods, **joined)
        else:
            added = route
        if context.get("middleware") and not isinstance(added, Route | WebSocketRoute | Mount | Host):
            problem = f"A router's layers cannot be put around {added!r}: put them around what it serves."
            raise RegistrationError(problem)
        return added

    def add_existing(self, route: BaseRoute) -> None:
        """Add a route as it is: this router's prefix and options are not for it."""
        self._add(route)

    def _add(self, route: BaseRoute) -> None:
        routes = cast("list[BaseRoute]", self.frontends) if getattr(route, "is_frontend", False) else self.routes
        routes.append(route)
        self._adopt(route)
        for parent, context, prefix in self._includes:
            parent._include(route, context, prefix)

    def _adopt(self, route: BaseRoute) -> None:
        """Tell a route the application that it belongs to, once that is known."""
        if self.dependency_overrides_provider is None:
            return
        if isinstance(route, Route | WebSocketRoute):
            # Not before a route belongs to an application: webhooks have names for paths, callbacks expressions.
            if not route.path.startswith("/"):
                raise RegistrationError(f"A route's path starts with '/': got {route.path!r}.", endpoint=route.endpoint)
            route._provider = self.dependency_overrides_provider
            if isinstance(route, Route):
                # What was made was made for nobody.
                route.forget()
                for model in filter(None, (route.model, *route.models.values())):
                    if hasattr(model.call, "__velithon_cache__"):
                        from velithon.cache.route import check_tags

                        check_tags(route, model.call)
        elif isinstance(route, starlette.Mount | starlette.Host):
            inner = find_inner_application(route)
            if isinstance(inner, Router):
                inner.belong_to(self.dependency_overrides_provider)
            elif isinstance(router := getattr(inner, "router", None), Router):
                router.mounted_in.append(self.dependency_overrides_provider)

    def belong_to(self, app: HandlingOwner) -> None:
        """Make `app` the application of this router and of the routers mounted in it."""
        self.dependency_overrides_provider = app
        for route in [*self.routes, *self.frontends]:
            self._adopt(route)

    # -- answering ------------------------------------------------------------------------------------------------

    @property
    def table(self) -> Table:
        """The routes, compiled; again after a change."""
        if self._table is None:
            others = self.frontends or self.default != self.not_found
            self._table = Table(self._routes, None if others else MISS)
        return self._table

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes in order; a change counts from the next request on."""
        return self._routes

    @routes.setter
    def routes(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = RouteList(routes, self._forget_table)
        self._forget_table()
        for route in routes:
            self._adopt(route)

    @property
    def default(self) -> ASGIApp:
        """What answers where no route does."""
        return self._default

    @default.setter
    def default(self, app: ASGIApp) -> None:
        self._default = app
        self._forget_table()

    def _forget_table(self) -> None:
        self._table = None

    def respond(self, request: Request) -> Awaitable[object]:
        """Find the route and let it answer.

        Raises:
            HTTPException: 404 or 405, when no route does.
        """
        method, path = request._get_target()
        table = self._table or self.table
        exact = table.exact.get(path)
        answer = table.by_tree(method, path) if exact is None else exact.answers.get(method)
        if answer is None:
            return self.search(request, method, path)
        if answer is MISS:
            raise HTTPException(404)
        route, params = answer
        request._note_route(route, {} if params is None else params)
        return route.respond(request)  # type: ignore[no-any-return]  # Starlette types routes as `BaseRoute`

    async def _respond_alone(self, request: Request) -> object:
        """Answer where no application is around the router, whose handlers would see to what is raised."""
        try:
            return await self.respond(request)
        except StarletteHTTPException as exc:
            return PlainTextResponse(str(exc.detail), exc.status_code, dict(exc.headers or {}))

    def search(self, request: Request, method: str, path: str) -> Awaitable[object]:
        """Do what `respond` does where `Table.direct` had no answer."""
        found = self.table.resolve(method, path, request)
        if found is not None and found.direct:
            request._note_route(found.route, found.path_params or {})
            return found.route.respond(request)  # type: ignore[attr-defined, no-any-return]  # Starlette types routes as `BaseRoute`
        return self._respond_otherwise(request, found)

    async def _respond_otherwise(self, request: Request, found: Found | None) -> object:
        if found is None:
            return await self._respond_unmatched(request)
        if not found.allowed and found.child_scope is None:  # a route with a rule of its own answers by itself
            # What counts requests names these by the path too, as Starlette does.
            request._note_route(found.route, found.path_params)
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self._list_allowed(request, found)))})
        limit = self._find_limit(found.route)
        if limit is not None:
            request.limit_body(limit)
        scope = request.scope
        scope.setdefault("router", self)
        scope["route"] = found.route
        if has_own_layers(found.route):
            show_files(scope)
        if found.child_scope is not None:
            scope.update(found.child_scope)
        else:
            request._note_route(found.route, found.path_params)
        if isinstance(found.route, Mount):
            return await found.route.respond(request)
        return AppResponse(found.route.handle, request)

    def _list_allowed(self, request: Request, found: Found) -> set[str]:
        allowed: set[str] = set()
        for other in self.table.matching(request._route_path):
            allowed |= getattr(other.route, "allowed_methods", None) or getattr(other.route, "methods", None) or set()
        return allowed or set(getattr(found.route, "methods", None) or ())

    async def _respond_unmatched(self, request: Request) -> object:
        path = request._route_path
        if self.redirect_slashes and path != "/":
            other = path.rstrip("/") if path.endswith("/") else path + "/"
            if self.table.may_match(other):
                scope = dict(request.scope)
                scope["path"] = scope["path"].rstrip("/") if path.endswith("/") else scope["path"] + "/"
                if found := self.table.resolve(request.method, other, Request(scope)):
                    request._note_route(found.route, {})
                    return RedirectResponse(str(URL(scope=scope)))
        if self.frontends:
            from velithon.routing.frontend import find_most_specific

            frontend = find_most_specific(self.frontends, path)
            if frontend is not None:
                request._note_route(frontend, {})
                return await frontend.respond(request)
        if self.default != self.not_found:
            return AppResponse(self.default, request)
        raise HTTPException(404)

    def _find_limit(self, route: BaseRoute) -> int | None:
        """Return the `max_body_size` for what a route hands a request to; `None` where that sees to its own."""
        limit: int | None = getattr(route, "max_body_size", None)
        owner = self.dependency_overrides_provider
        if limit is not None or owner is None:
            return limit
        inner: Any = find_inner_application(route)
        if isinstance(inner, Router):
            return None if inner.dependency_overrides_provider is owner else owner.max_body_size
        has_own = isinstance(getattr(inner, "router", None), Router) and inner.max_body_size is not None
        return None if has_own else owner.max_body_size

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer over ASGI: HTTP by the table, everything else as Starlette's router does."""
        scope.setdefault("router", self)
        if scope["type"] == "http":
            is_inside = "app" in scope or "starlette.exception_handlers" in scope
            await (self._http if is_inside else self._alone)(scope, receive, send)
        else:
            await super().app(scope, receive, send)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match nothing, as FastAPI's: the routes do, where the router is included or mounted."""
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer over ASGI: FastAPI's name for `app`."""
        await self.app(scope, receive, send)

    # -- lifespan -------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def lifecycle(self, app: object) -> AsyncIterator[Mapping[str, object] | None]:
        """Run the lifespans of the router, of included routers and of mounts; merge their states."""
        async with AsyncExitStack() as stack:
            if self.resources is not None:
                await stack.enter_async_context(self.resources())
            states = await self._start(app, stack)
            # A router that is included has its mounts started by the one that serves them.
            if not any(parent.runs_in_this_task() for parent, _, _ in self._includes):
                states.append(await start_mounted(iterate_mounted(self.routes), stack))
            if self.finish_work is not None:
                stack.push_async_callback(self.finish_work)
            merged = {key: value for state in reversed(states) for key, value in state.items()}
            yield merged or None

    def runs_in_this_task(self) -> bool:
        """Tell whether this router's lifespan runs, begun by the task that asks."""
        return bool(self._tasks) and asyncio.current_task() in self._tasks

    async def _start(self, app: object, stack: AsyncExitStack) -> list[Mapping[str, object]]:
        """Start this router, then those that it includes and mounts, each once; return what they yield."""
        task = asyncio.current_task()
        self._tasks.append(task)
        stack.callback(self._tasks.remove, task)
        states = [await stack.enter_async_context(self._user_lifespan(app)) or {}]
        stack.push_async_callback(self.on_shutdown.run)
        await self.on_startup.run()
        for router in [*self._included, *map(find_inner_application, iterate_mounted(self.routes))]:
            if not isinstance(router, Router) or router.runs_in_this_task():
                continue
            if router.lifespan_context == router.lifecycle:
                states += await router._start(app, stack)
            else:  # replaced, most often by what goes around it
                context: Any = router.lifespan_context(app)
                states.append(await stack.enter_async_context(context) or {})
        return states


APIRouter = Router
