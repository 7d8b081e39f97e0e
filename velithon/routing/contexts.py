"""What packages ask of a list of routes that routers may have been included into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

__all__ = ["RouteContext", "iter_route_contexts"]


@dataclass(frozen=True)
class RouteContext:
    """A route as it is served.

    Including a router makes routes with their whole path, so this is the route itself.

    Attributes:
        route: The route; `path`, `name`, `methods`, `endpoint` and all else is read from it.
    """

    route: BaseRoute

    @property
    def original_route(self) -> BaseRoute:
        """The route."""
        return self.route

    @property
    def path(self) -> str | None:
        """The whole path, for routes that have one."""
        return getattr(self.route, "path", None)

    @property
    def path_format(self) -> str | None:
        """The path without the convertors of its parameters."""
        return getattr(self.route, "path_format", None)

    @property
    def name(self) -> str | None:
        """The name for `url_path_for`."""
        return getattr(self.route, "name", None)

    @property
    def methods(self) -> set[str] | None:
        """The HTTP methods, where these are known."""
        methods = getattr(self.route, "methods", None)
        return None if methods is None else set(methods)

    @property
    def endpoint(self) -> Any:
        """What answers."""
        return getattr(self.route, "endpoint", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.route, name)


def iter_route_contexts(routes: Iterable[BaseRoute | RouteContext]) -> Iterator[RouteContext]:
    """Yield the context of each route; what is a context already stays as it is."""
    for route in routes:
        yield route if isinstance(route, RouteContext) else RouteContext(route)
