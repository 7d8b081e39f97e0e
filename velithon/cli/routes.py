"""`velithon routes`: a table of an application's routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from velithon._runtime.source import place_of
from velithon.cli import app
from velithon.cli.openapi import AppOption, FactoryOption, Target, load

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from velithon.signature import EndpointModel

__all__ = ["routes"]


class Row(NamedTuple):
    """One line of the table."""

    methods: str
    path: str
    name: str
    endpoint: str
    dependencies: str
    source: str


_HEAD = Row("METHODS", "PATH", "NAME", "ENDPOINT", "DEPENDENCIES", "SOURCE")


@app.command(rich_help_panel="Write")
def routes(
    target: Target = None,
    app_option: AppOption = None,
    factory: FactoryOption = False,
    docs: Annotated[bool, typer.Option("--docs", help="Also those of the documentation.")] = False,
) -> None:
    """List the routes of an application.

    They stand in the order in which they are tried.
    """
    application = load(target, app_option, factory=factory)
    rows = [_HEAD, *_list_rows([*application.routes, *application.router.frontends], "", docs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _is_documentation(route: BaseRoute) -> bool:
    return getattr(getattr(route, "endpoint", None), "__module__", None) == "velithon.openapi.serve"


def _list_rows(found: Sequence[BaseRoute], prefix: str, docs: bool) -> Iterator[Row]:
    for route in found:
        router = getattr(getattr(route, "app", None), "router", getattr(route, "app", None))
        inner = [*(getattr(route, "routes", None) or ()), *getattr(router, "frontends", ())]
        path = prefix + getattr(route, "path", getattr(route, "host", ""))
        if inner:
            yield from _list_rows(inner, path, docs)
        elif docs or not _is_documentation(route):
            yield _build_row(route, path)


def _build_row(route: BaseRoute, path: str) -> Row:
    from velithon.openapi.routes import list_dependencies
    from velithon.routing.routes import Route, WebSocketRoute

    endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
    models: list[EndpointModel] = []
    if isinstance(route, Route):
        models = [route.model] if route.model is not None else list(route.models.values())
    elif isinstance(route, WebSocketRoute) and route.model is not None:
        models = [route.model]
    return Row(
        _format_methods(route),
        path,
        getattr(route, "name", None) or "-",
        _format_name(endpoint),
        ", ".join(list_dependencies(models)) or "-",
        place_of(endpoint) or "-",
    )


def _format_methods(route: BaseRoute) -> str:
    methods = getattr(route, "methods", None)
    if methods:
        return ",".join(sorted(methods))
    return {"WebSocketRoute": "WS", "Mount": "MOUNT", "Host": "HOST"}.get(type(route).__name__, "ANY")


def _format_name(endpoint: object) -> str:
    named: Any = endpoint if hasattr(endpoint, "__qualname__") else type(endpoint)
    return f"{named.__module__}.{named.__qualname__}"
