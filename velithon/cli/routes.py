"""`velithon routes`: a table of an application's routes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from velithon.cli import app
from velithon.cli.openapi import AppOption, FactoryOption, load

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

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


@app.command()
def routes(target: AppOption, factory: FactoryOption = False) -> None:
    """List the routes of an application, in the order in which they are tried."""
    application = load(target, factory=factory)
    rows = [_HEAD, *_rows([*application.routes, *application.router.frontends], "")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rows(found: Sequence[BaseRoute], prefix: str) -> Iterator[Row]:
    for route in found:
        router = getattr(getattr(route, "app", None), "router", getattr(route, "app", None))
        inner = [*(getattr(route, "routes", None) or ()), *getattr(router, "frontends", ())]
        path = prefix + getattr(route, "path", getattr(route, "host", ""))
        if inner:
            yield from _rows(inner, path)
        else:
            yield _row(route, path)


def _row(route: Any, path: str) -> Row:
    from velithon.openapi.routes import flat_dependencies, source_of
    from velithon.routes import Route, WebSocketRoute

    endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
    models: list[Any] = []
    if isinstance(route, Route):
        models = [route.model] if route.model is not None else list(route.models.values())
    elif isinstance(route, WebSocketRoute) and route.model is not None:
        models = [route.model]
    place = source_of(endpoint)
    return Row(
        _methods(route),
        path,
        getattr(route, "name", None) or "-",
        _name(endpoint),
        ", ".join(flat_dependencies(models)) or "-",
        f"{os.path.relpath(place[0])}:{place[1]}" if place else "-",
    )


def _methods(route: Any) -> str:
    if getattr(route, "methods", None):
        return ",".join(sorted(route.methods))
    return {"WebSocketRoute": "WS", "Mount": "MOUNT", "Host": "HOST"}.get(type(route).__name__, "ANY")


def _name(endpoint: Any) -> str:
    named = endpoint if hasattr(endpoint, "__qualname__") else type(endpoint)
    return f"{named.__module__}.{named.__qualname__}"
