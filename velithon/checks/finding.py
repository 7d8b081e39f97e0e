"""A finding, and what the rules share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from velithon.signature import EndpointModel

__all__ = ["Checked", "Finding", "describe_route", "get_endpoint", "iterate_groups", "list_models"]


class Checked(Protocol):
    """What the rules need of an application."""

    debug: bool

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes, in the order in which they are tried."""


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        place: `file:line`; empty where it is not known.
        rule: Its name, for `--ignore`.
        message: What is wrong and how to mend it, in sentences.
    """

    place: str
    rule: str
    message: str


def iterate_groups(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[tuple[str, Sequence[BaseRoute]]]:
    """Yield each group of routes that are tried in order, with its prefix.

    The application's routes are one group, and so are those of each mount.
    """
    yield prefix, routes
    for route in routes:
        inner = getattr(route, "routes", None)
        if inner:
            yield from iterate_groups(inner, prefix + getattr(route, "path", ""))


def list_models(route: object) -> list[EndpointModel]:
    """Return the models of a route.

    A function has one, a class one for each method.
    """
    model = getattr(route, "model", None)
    return [model] if model is not None else list(getattr(route, "models", {}).values())


def get_endpoint(route: object) -> object:
    """Return what a route calls."""
    return getattr(route, "endpoint", None) or getattr(route, "app", None)


def describe_route(route: object, prefix: str = "", methods: Sequence[str] = ()) -> str:
    """Return the methods and the path of a route."""
    path = prefix + getattr(route, "path", "")
    names = ",".join(methods) or {"WebSocketRoute": "WS", "Mount": "MOUNT"}.get(type(route).__name__, "ANY")
    return f"{names} {path or '/'}"
