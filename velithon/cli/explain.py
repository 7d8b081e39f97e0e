"""`velithon explain METHOD /path`: which route answers a request, and how.

It shows what runs, in which order, and where each value comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from velithon._runtime.source import place_of
from velithon.checks.steps import describe_callable, describe_outcome, describe_steps
from velithon.cli import app, fail
from velithon.cli.openapi import AppOption, FactoryOption, Target, load

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.routing import BaseRoute
    from starlette.types import Scope

    from velithon.application import Velithon
    from velithon.routing.frontend import Frontend
    from velithon.routing.router import Router

__all__ = ["explain"]


@app.command(rich_help_panel="Write")
def explain(
    method: Annotated[str, typer.Argument(help="The HTTP method, or WS for a WebSocket.")],
    path: Annotated[str, typer.Argument(help="The path, such as /items/3.")],
    target: Target = None,
    app_option: AppOption = None,
    factory: FactoryOption = False,
) -> None:
    """Show what happens to a request.

    Who answers, by which way, and what runs in what order.
    """
    if not path.startswith("/"):
        raise fail(f"A path starts with '/': got {path!r}")
    application = load(target, app_option, factory=factory)
    asked = Asked(method.upper(), path.partition("?")[0])
    typer.echo(f"{asked.method} {asked.path}\n")
    for line in asked.websocket(application) if asked.method in ("WS", "WEBSOCKET") else asked.http(application):
        typer.echo(line)


@dataclass
class Asked:
    """A request to be explained, on its way through routers that may hold one another."""

    method: str
    path: str
    mounts: list[str] = field(default_factory=list)
    inner: list[Velithon] = field(default_factory=list)

    def scope(self, kind: str, application: Velithon) -> Scope:
        """Return an ASGI scope for routes that decide for themselves."""
        return {
            "type": kind,
            "method": self.method,
            "path": application.root_path + self.path,
            "root_path": application.root_path,
            "headers": [(b"host", b"localhost")],
            "query_string": b"",
            "app": application,
        }

    def http(self, application: Velithon) -> Iterator[str]:
        """Yield the lines for an HTTP request."""
        # As the first request does: it decides which ways are direct.
        application._get_composed()
        scope = self.scope("http", application)
        lines, way = self.found(application.router, scope)
        yield from lines
        yield ""
        route = scope.get("answers")
        yield from _describe_faces(
            application, way if self.mounts == [] else "mounted", _describe_shortcut(route, way, application)
        )
        for inner in self.inner:
            yield from _describe_layers(inner.user_middleware, inner, "of the inner application: ")
        if route is not None:
            yield from _describe_route_layers(route, application)
            yield from _describe_plan(route, self.method)

    def found(self, router: Router, scope: Scope) -> tuple[list[str], str]:
        """Return what the router's table finds, and how.

        The route is left in the scope as `answers`.
        """
        from starlette.requests import Request

        from velithon._compat.starlette import get_route_path
        from velithon.routing.routes import Route
        from velithon.routing.table import MISS

        path = get_route_path(scope)
        table = router.table
        found = table.resolve(self.method, path, Request(scope))
        if found is None:
            other = path.rstrip("/") if path.endswith("/") else f"{path}/"
            whole = scope["path"].rstrip("/") if path.endswith("/") else f"{scope['path']}/"
            asked = Request({**scope, "path": whole})
            if path != "/" and router.redirect_slashes and table.resolve(self.method, other, asked):
                return [f"route     none; redirected to {other} (307)"], "walk"
            frontend = self._find_frontend(router, path)
            if frontend is not None:
                scope["answers"] = frontend
                return [f"route     none; {_describe_route(frontend)} serves files for what no route has"], "walk"
            return ["route     none: 404"], "miss" if table.direct(self.method, path) is MISS else "walk"
        if not found.allowed:
            allowed = router._list_allowed(_Path(path), found)  # type: ignore[arg-type]  # it has the two attributes that are read
            return [f"route     none: 405, allowed are {', '.join(sorted(allowed))}"], "walk"
        if not isinstance(found.route, Route):
            return self._explain_inner(found.route, dict(found.child_scope or {}), scope)
        scope["answers"] = found.route
        exact = path in table.exact
        way = "exact" if exact else "tree" if table.direct(self.method, path) else "patterns"
        how = {
            "exact": "the dictionary of paths without parameters",
            "tree": "the segments of its path; no pattern is tried",
            "patterns": f"trying the patterns of {len(table.candidates(path))} of {len(router.routes)} routes",
        }[way]
        lines = [f"route     {_describe_route(found.route)}", f"found by  {how}"]
        if found.path_params:
            lines.append(f"path      {', '.join(f'{name} = {value!r}' for name, value in found.path_params.items())}")
        later = [other.route for other in table.matching(path) if other.route is not found.route]
        lines += [f"also      {_describe_route(route)} has this path, too" for route in later]
        return lines, way

    @staticmethod
    def _find_frontend(router: Router, path: str) -> Frontend | None:
        from velithon.routing.frontend import find_most_specific

        return find_most_specific(router.frontends, path)

    def _explain_inner(self, route: BaseRoute, child: Scope, scope: Scope) -> tuple[list[str], str]:
        from velithon.application import Velithon
        from velithon.routing.router import Router
        from velithon_adapters.scope import put_below

        where = getattr(route, "path", getattr(route, "host", "")) or "/"
        self.mounts.append(where)
        inner = getattr(route, "app", None)
        scope.update(child)
        head = [f"inside    {type(route).__name__} {where}: {type(inner or route).__name__}"]
        if isinstance(inner, Router):
            lines, way = self.found(inner, scope)
            return head + lines, way
        if isinstance(inner, Velithon):
            self.inner.append(inner)
            if inner.root_path:
                # As its ASGI face does.
                put_below(scope, inner.root_path)
            lines, way = self.found(inner.router, scope)
            return head + lines, way
        return [*head, "          What it does with the request is its own; it is called over ASGI."], "mounted"

    def websocket(self, application: Velithon) -> Iterator[str]:
        """Yield the lines for a WebSocket."""
        from starlette.routing import Match

        from velithon.routing.routes import WebSocketRoute
        from velithon.signature import compile_websocket
        from velithon.signature import explain as source_of

        scope = self.scope("websocket", application)
        found = next((route for route in application.routes if route.matches(scope)[0] is Match.FULL), None)
        if found is None:
            yield "route     none: the handshake is refused with 403"
            return
        yield f"route     {_describe_route(found)}"
        yield ""
        yield "WebSockets run in their ASGI form. On Granian's RSGI an adapter carries the messages;"
        yield "while no layer stands between, endpoints send and receive them without it."
        yield from _describe_layers(application.user_middleware, application)
        if isinstance(found, WebSocketRoute):
            yield from _describe_layers(found.middleware, application, "of the route: ")
            if found.model is not None:
                yield from describe_steps(found.model)
                yield from _list_source_lines(source_of(compile_websocket(found.model)))


@dataclass
class _Path:
    """What a router asks of a request for its `Allow` header."""

    _route_path: str


def _describe_shortcut(route: Any, way: str, application: Velithon) -> str:
    """Return what the direct way leaves out."""
    if way == "miss" and application._missing is None:
        return "no route is tried; HTTPException(404) is raised, which somebody has a handler for"
    if way == "miss":
        return "the answer was made before; no exception is, and no handler is called"
    if route is None:
        return ""
    route._build()
    if route.direct_call is not None:
        return "the endpoint takes nothing of the request, so none is made"
    return "its plan reads the server's scope, so no request is made" if route.scope_plan is not None else ""


def _describe_faces(application: Velithon, way: str, shortcut: str) -> Iterator[str]:
    """Yield which way the request takes on each face, and why."""
    reasons = []
    if application.user_middleware:
        number = len(application.user_middleware)
        reasons.append(f"{number} layer{'s' * (number > 1)}")
    if application._thread_pool is not None:
        reasons.append("thread_pool_size: each request is told its pool")
    if application.root_path:
        reasons.append(f"root_path={application.root_path!r}: paths are cut first")
    if application._telemetry is not None:
        reasons.append("telemetry: a span for each request")
    if application._detour is not None:
        yield f"RSGI      over ASGI, behind an adapter: {application._detour}"
    elif way == "mounted":
        yield "RSGI      over ASGI: what is mounted is an ASGI application, behind an adapter"
    elif reasons:
        yield f"RSGI      through layers: {'; '.join(reasons)}"
    elif way in ("exact", "tree", "miss"):
        yield "RSGI      direct: one function from the server's call to the response, nothing of ASGI in it"
        if shortcut:
            yield f"          {shortcut}"
    else:
        yield "RSGI      direct, and the router tries patterns"
    yield "ASGI      the same layers, router and plan, on a request that reads the ASGI scope"
    yield from _describe_layers(application.user_middleware, application)


def _describe_layers(layers: Sequence[Middleware], application: Velithon, whose: str = "") -> Iterator[str]:
    from velithon.middleware.stack import Next

    for number, (cls, args, kwargs) in enumerate(layers, 1):
        name = getattr(cls, "__name__", repr(cls))
        dispatch = kwargs.get("dispatch")
        if dispatch is not None:
            name = f"{name}({describe_callable(dispatch)})"
        layer = cls(Next(_do_nothing, _do_nothing), *args, **kwargs)
        yield f"layer {number}   {whose}{name}: {_describe_form(layer, application)}"


async def _do_nothing(*arguments: object) -> None:
    """Stand where the next layer would; nothing is sent through."""


def _describe_form(layer: Any, application: Velithon) -> str:
    from velithon.middleware.base import get_dispatch
    from velithon.middleware.stack import get_forms

    if get_dispatch(layer) is not None:
        return "a dispatch function, the same on both protocols"
    _, rsgi = get_forms(layer, application, layer)
    if getattr(layer, "__rsgi__", None) is not None:
        return "has a form for each protocol"
    if rsgi is layer:
        return "RSGI; on ASGI an adapter stands before it"
    return "ASGI; on RSGI an adapter makes the ASGI scope for it"


def _describe_route_layers(route: Any, application: Velithon) -> Iterator[str]:
    limit = route.body_limit
    if limit is not None:
        yield f"limit     a body of more than {limit:,} bytes is answered with 413"
    yield from _describe_layers(route.middleware, application, "of the route: ")


def _describe_plan(route: Any, method: str) -> Iterator[str]:
    """Yield the steps of a route's plan and its source."""
    from velithon.routing.routes import Route, _read_flag
    from velithon.signature import compile_http
    from velithon.signature import explain as source_of

    model = route.model or route.models.get(method) or (route.models.get("GET") if method == "HEAD" else None)
    if model is None:
        yield "endpoint  an ASGI application: it is called over ASGI, on RSGI behind an adapter"
        return
    if type(route).get_route_handler is not Route.get_route_handler:
        yield f"handler   {type(route).__name__}.get_route_handler may wrap the plan"
    yield from describe_steps(model)
    yield f"response  {describe_outcome(model, route)}"
    plan = compile_http(
        model,
        route.response_options,
        strict_content_type=_read_flag(route.strict_content_type),
        form_limits=route.all_form_limits,
    )
    yield from _list_source_lines(source_of(plan))


def _list_source_lines(text: str) -> Iterator[str]:
    yield ""
    yield from text.rstrip().splitlines()


def _describe_route(route: BaseRoute) -> str:
    methods = getattr(route, "methods", None)
    endpoint = getattr(route, "endpoint", None)
    head = f"{','.join(sorted(methods))} " if methods else ""
    path = getattr(route, "path", None) or getattr(route, "host", "")
    place = place_of(endpoint) if endpoint is not None else ""
    return (
        f"{head}{path}"
        + (f"  {describe_callable(endpoint)}" if endpoint is not None else "")
        + (f"  {place}" if place else "")
    )
