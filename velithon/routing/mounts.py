"""Mounts applications under a path or for a host, and runs their lifespans.

An application of ours that is mounted starts and stops with the one that holds it. One of another framework does so
where its mount says `lifespan=True`: many start themselves in the lifespan of the application that mounts them, and
would be started twice. What a mounted application's lifespan yields is in the state of its own requests alone.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, Self, cast

from starlette import routing as starlette
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.routing import compile_path

from velithon._runtime.lifetime import Lifetime
from velithon.compat.asked import stands_for_fastapi
from velithon.responses.app import AppResponse
from velithon.routing.template import MOUNTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AsyncExitStack

    from starlette.middleware import Middleware
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.requests.request import Request
    from velithon.staticfiles import StaticFiles

__all__ = ["Host", "Mount", "Mounted", "adopt_mount", "find_inner_application", "iterate_mounted", "start_mounted"]

STATES = "velithon.mounted"
"""In an application's state: the id of a mounted application -> what its lifespan yielded."""


class Mounted(starlette.BaseRoute):
    """What mounts and hosts share.

    Attributes:
        app: What is mounted, with the layers around it.
        max_body_size: The largest request body, in bytes; `None`: the application's.
        lifespan: Whether the application runs its lifespan; `None`: if it is one of ours.
    """

    app: ASGIApp
    _base_app: ASGIApp
    lifespan: bool | None = None
    max_body_size: int | None = None

    def behind(self, layers: Sequence[Middleware], max_body_size: int | None) -> Self:
        """Return it with a router's layers around its own.

        It has the router's limit where it has none.
        """
        if not layers and (max_body_size is None or self.max_body_size is not None):
            return self
        from velithon.middleware.stack import mount_stack

        made = copy(self)
        made._base_app = find_inner_application(self)
        if made.max_body_size is None:
            made.max_body_size = max_body_size
        made.app = mount_stack(self.app, layers)
        return made

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to what is mounted.

        Its requests have the state that its own lifespan yielded.
        """
        outer = scope.get("state")
        own = outer[STATES].get(id(find_inner_application(self))) if outer and STATES in outer else None
        if own and outer is not None:
            state = _Inside(outer, apart=own)
            state.update(own)
            scope = _Inside(scope, apart=("state",))
            scope["state"] = state
        await self.app(scope, receive, send)


class _Inside(dict[str, Any]):
    """A scope, or its state, inside a mount: what is set in it is set outside too, but for what is kept apart."""

    def __init__(self, outer: Scope, apart: Collection[str]) -> None:
        super().__init__(outer)
        self._outer = outer
        self._apart = apart

    def __setitem__(self, key: str, value: object) -> None:
        super().__setitem__(key, value)
        if key not in self._apart:
            self._outer[key] = value

    def update(self, *args: Any, **kwargs: object) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: object = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]


class Mount(Mounted, starlette.Mount):
    """An application, or a list of routes, under a path.

    Args:
        path: Where it begins.
        app: An ASGI application; or give `routes`.
        routes: What is served there.
        name: For `url_for("name:route")`.
        middleware: Layers around what is mounted.
        max_body_size: The largest request body, in bytes.
        lifespan: Whether the lifespan of `app` runs with this application's; `None`: if it is one of ours.
    """

    def __init__(
        self,
        path: str,
        app: ASGIApp | None = None,
        routes: Sequence[BaseRoute] | None = None,
        name: str | None = None,
        *,
        middleware: Sequence[Middleware] | None = None,
        max_body_size: int | None = None,
        lifespan: bool | None = None,
    ) -> None:
        super().__init__(path, app, routes, name, middleware=middleware, max_body_size=max_body_size)
        self.max_body_size = max_body_size
        self.lifespan = lifespan

    def below(self, prefix: str) -> Mount:
        """Return it as it is behind a prefix."""
        moved = copy(self)
        moved.path = prefix + self.path
        moved.path_regex, moved.path_format, moved.param_convertors = compile_path(moved.path + "/{path:path}")
        return moved

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the application.

        The mount is noted for whoever asks for the route's template.
        """
        self._note(scope)
        await super().handle(scope, receive, send)

    def _note(self, scope: Scope) -> None:
        scope[MOUNTS] = (*scope.get(MOUNTS, ()), self)

    async def respond(self, request: Request) -> object:
        """Answer with the response of static files.

        Any other application runs when its response is sent.
        """
        files = cast("StaticFiles", self.app)
        # By an attribute, as only those who have files import `StaticFiles`. A layer around them is what `app` is then.
        if getattr(files, "responds", None) is not True or type(self).handle is not Mount.handle:
            return AppResponse(self.handle, request)
        self._note(request.scope)
        return await files.respond(request.scope)


class Host(Mounted, starlette.Host):
    """An application for the requests of one host.

    Args:
        host: The host, with parameters in braces.
        app: An ASGI application.
        name: For `url_for("name:route")`.
        lifespan: Whether the lifespan of `app` runs with this application's; `None`: if it is one of ours.
    """

    def __init__(self, host: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None) -> None:
        super().__init__(host, app, name)
        self.lifespan = lifespan

    def below(self, prefix: str) -> Host:
        """Return it with its application behind a prefix."""
        if not prefix:
            return self
        moved = copy(self)
        moved.app = starlette.Router([Mount(prefix, self.app, lifespan=self.lifespan)])
        return moved

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of what is mounted, whatever layers stand around it."""
        return getattr(find_inner_application(self), "routes", [])


_OURS: dict[type, type[Mounted]] = {starlette.Mount: Mount, starlette.Host: Host}


def adopt_mount(route: BaseRoute) -> BaseRoute:
    """Return our mount or host for Starlette's; anything else as it is."""
    cls: Any = _OURS.get(type(route))
    if cls is None:
        return route
    made = cls.__new__(cls)
    vars(made).update(vars(route))
    if isinstance(made.app, RequestBodyLimitMiddleware):
        made.max_body_size = made.app.max_body_size
    return made  # type: ignore[no-any-return]  # of a class that is only known here


def find_inner_application(mount: BaseRoute) -> Any:
    """Return what is mounted, without the layers that the mount has put around it."""
    return getattr(mount, "_base_app", None) or getattr(mount, "app", None)


def iterate_mounted(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Yield the mounts and hosts among routes, and those of the routers that are mounted."""
    for route in routes:
        if isinstance(route, starlette.Mount | starlette.Host):
            yield route
            inner = find_inner_application(route)
            if isinstance(inner, starlette.Router):
                yield from iterate_mounted(inner.routes)


async def start_mounted(mounts: Iterable[BaseRoute], stack: AsyncExitStack) -> Mapping[str, object]:
    """Start mounted applications, each once, however often it is mounted.

    Args:
        mounts: The mounts of the application that starts.
        stack: Stops them.

    Returns:
        The part of the application's state in which the mounts find what the lifespans yielded.
    """
    states: dict[int, Mapping[str, object] | None] = {}
    for mount in filter(_has_lifespan, mounts):
        app = find_inner_application(mount)
        if id(app) in states:
            continue
        try:
            states[id(app)] = await stack.enter_async_context(_run_lifespan(app))
        except Exception as exc:
            exc.add_note(f"It was the start of what is mounted at {_describe_place(mount)!r}.")
            raise
    return {STATES: states} if any(states.values()) else {}


def _describe_place(mount: object) -> str:
    return str(getattr(mount, "path", None) or getattr(mount, "host", "/"))


def _has_lifespan(mount: BaseRoute) -> bool:
    inner = find_inner_application(mount)
    wanted = getattr(mount, "lifespan", None)
    if isinstance(inner, starlette.Router) or wanted is False:
        return False  # a router's is its parent's affair
    # FastAPI leaves mounted lifespans to the application that mounts.
    return bool(wanted) or (isinstance(inner, Lifetime) and not stands_for_fastapi())


def _run_lifespan(app: Any) -> AbstractAsyncContextManager[Mapping[str, object] | None]:
    if isinstance(app, Lifetime):
        return _run_own_lifespan(app)
    return _run_foreign_lifespan(app)


@asynccontextmanager
async def _run_own_lifespan(app: Any) -> AsyncIterator[Mapping[str, object] | None]:
    # The lifespan of the application around may have started it by hand, as FastAPI's users have to.
    if app.router.runs_in_this_task():
        yield None
        return
    async with app.router.lifespan_context(app) as state:
        yield state


@asynccontextmanager
async def _run_foreign_lifespan(app: ASGIApp) -> AsyncIterator[Mapping[str, object] | None]:
    from velithon_adapters.lifespan import Lifespan

    lifespan = Lifespan(app, "on")
    await lifespan.startup()
    try:
        yield lifespan.state
    finally:
        await lifespan.shutdown()
