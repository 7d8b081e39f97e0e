"""Parameters that take their value from somewhere else than was meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, get_args, get_origin

from velithon._runtime.source import place_of
from velithon.checks.finding import Checked, Finding, describe_route, iterate_groups, list_models
from velithon.params import Body
from velithon.signature.annotations import list_members, read_signature
from velithon.signature.path import list_path_names

if TYPE_CHECKING:
    from velithon.signature import DependencyModel, EndpointModel
    from velithon.signature.fields import Field

__all__ = ["check_signatures"]

_BODILESS = {"GET", "HEAD"}
# Whoever takes one of these may read the path's parameters there.
_READERS = {"request", "websocket", "http_connection"}
_LISTS = (list, tuple, set, frozenset)


def check_signatures(application: Checked) -> Iterator[Finding]:
    """Yield path parameters that nothing takes, and lists that GET takes from the body."""
    for prefix, routes in iterate_groups(application.routes):
        for route in routes:
            models = list_models(route)
            if not models:
                continue
            methods: list[str] = sorted(getattr(route, "methods", None) or ())
            what = describe_route(route, prefix, methods)
            yield from _find_unused(what, getattr(route, "path", ""), models)
            if methods and set(methods) <= _BODILESS:
                for node in (node for model in models for node in model.walk()):
                    yield from _check_lists(what, node)


def _find_unused(what: str, path: str, models: list[EndpointModel]) -> Iterator[Finding]:
    nodes = [node for model in models for node in model.walk()]
    if any(_READERS.intersection(node.injected.values()) for node in nodes):
        return
    taken = {field.alias for node in nodes for field in node.path_params}
    for name in sorted(list_path_names(path) - taken):
        queries = ", ".join(repr(field.name) for node in nodes for field in node.query_params)
        hint = f" What is read from the query instead: {queries}." if queries else ""
        yield Finding(
            place_of(models[0].call),
            "unread-path-parameter",
            f"{what}: no parameter takes {{{name}}}. Add {name!r} to the signature of {_format_name(models[0].call)}."
            f"{hint}",
        )


def _check_lists(what: str, node: DependencyModel) -> Iterator[Finding]:
    for field in node.body_params:
        if _is_list(field) and not _is_explicit(node.call, field.name):
            yield Finding(
                place_of(node.call),
                "list-body",
                f"{what}: {field.name!r} of {_format_name(node.call)} is a list without a marker, so it is read from"
                " the body. Write Annotated[..., Query()] to read it from the query.",
            )


def _is_list(field: Field) -> bool:
    return any((get_origin(choice) or choice) in _LISTS for choice in list_members(field.annotation))


def _is_explicit(call: Callable[..., object], name: str) -> bool:
    """Tell whether a parameter says itself that it comes from the body."""
    parameter = read_signature(call).parameters[name]
    marks = get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ()
    return any(isinstance(mark, Body) for mark in (parameter.default, *marks))


def _format_name(call: object) -> str:
    return f"{getattr(call, '__qualname__', type(call).__qualname__)}()".rpartition("<locals>.")[2]
