"""Routes that no request reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from starlette.convertors import FloatConvertor, IntegerConvertor, PathConvertor, StringConvertor, UUIDConvertor
from starlette.routing import PARAM_REGEX, Host, Mount, WebSocketRoute

from velithon._runtime.source import place_of
from velithon.checks.finding import Checked, Finding, describe_route, get_endpoint, iterate_groups
from velithon.routing.table import PREDICTABLE, Table

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


__all__ = ["check_paths"]

# A value for each convertor that the patterns of narrower ones do not match, so that whoever matches it takes all.
_SAMPLES: dict[object, str] = {
    StringConvertor: "~0~",
    PathConvertor: "~0~/~1~",
    IntegerConvertor: "7",
    FloatConvertor: "7.5",
    UUIDConvertor: "6d6f3a52-0d6c-4f9c-8f0e-5a1b9f1d2c3e",
}
_EVERY = "every method"


def check_paths(application: Checked) -> Iterator[Finding]:
    """Yield the routes whose path an earlier one has."""
    for prefix, routes in iterate_groups(application.routes):
        table = Table(routes)
        websockets = [route for route in routes if isinstance(route, WebSocketRoute | Mount)]
        for route in routes:
            sample = None if isinstance(route, Host) else _build_sample(route)
            if sample is None:
                continue
            # In order of declaration, both.
            tried = (
                websockets
                if isinstance(route, WebSocketRoute)
                else [entry.route for entry in table.candidates(sample) if not isinstance(entry.route, Host)]
            )
            yield from _find_hidden(route, sample, _iterate_earlier(route, tried), prefix)


def _iterate_earlier(route: BaseRoute, tried: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    for other in tried:
        if other is route:
            return
        yield other


def _find_hidden(route: BaseRoute, sample: str, earlier: Iterable[BaseRoute], prefix: str) -> Iterator[Finding]:
    left = _list_methods(route)
    for other in earlier:
        answered = _find_answered(other)
        if "HEAD" in answered - set(getattr(other, "methods", None) or ()) and _strip_names(route) == _strip_names(
            other
        ):
            # It comes with GET there, and gives way to a route of its own.
            answered.discard("HEAD")
        taken = [method for method in left if _EVERY in answered or method in answered]
        if not taken or not _takes_all_of(other, sample, route):
            continue
        left = [method for method in left if method not in taken]
        shown = [] if _EVERY in taken else taken
        what, first = (
            describe_route(route, prefix, shown),
            describe_route(other, prefix, [] if isinstance(other, Mount) else shown),
        )
        where = place_of(get_endpoint(other))
        at = f" ({where})" if where else ""
        place = place_of(get_endpoint(route))
        if _strip_names(route) == _strip_names(other):
            yield Finding(place, "duplicate-route", f"{what} is there already, as {first}{at}. Remove one of them.")
        else:
            yield Finding(
                place, "shadowed-path", f"{what} is never reached: {first}{at} takes its requests. Declare it before."
            )


def _takes_all_of(other: Any, sample: str, route: BaseRoute) -> bool:
    """Tell whether an earlier route takes every request for the path of a later one."""
    if isinstance(other, WebSocketRoute) != isinstance(route, WebSocketRoute) and not isinstance(other, Mount):
        return False
    predictable = type(other).matches in PREDICTABLE or isinstance(other, Mount | WebSocketRoute)
    return predictable and other.path_regex.match(sample) is not None


def _list_methods(route: BaseRoute) -> list[str]:
    methods = getattr(route, "methods", None)
    if not methods:
        return [_EVERY]
    # HEAD comes with GET.
    return sorted(method for method in methods if method != "HEAD" or "GET" not in methods)


def _find_answered(route: object) -> set[str]:
    return set(getattr(route, "allowed_methods", None) or getattr(route, "methods", None) or {_EVERY})


def _build_sample(route: object) -> str | None:
    """Return a path that only a route as wide as this one matches, or none where that cannot be told."""
    path = getattr(route, "path", None)
    convertors = getattr(route, "param_convertors", {})
    if path is None:
        return None
    values: dict[str, str] = {}
    for name, convertor in convertors.items():
        if isinstance(route, Mount) and name == "path":
            continue
        sample = _SAMPLES.get(type(convertor))
        if sample is None:
            return None
        values[name] = sample
    filled = PARAM_REGEX.sub(lambda match: values.get(match[1], match[0]), path)
    return f"{filled}/~0~/~1~" if isinstance(route, Mount) else filled


def _strip_names(route: Any) -> str:
    """Return the path without the names of its parameters."""
    return PARAM_REGEX.sub(lambda match: f"{{{match[2] or ''}}}".replace("{:str}", "{}"), route.path) + (
        "/*" if isinstance(route, Mount) else ""
    )
