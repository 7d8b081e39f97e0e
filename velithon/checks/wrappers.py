"""Finds decorators above a route's decorator, which the route does not call.

They wrap the function after the route has taken it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from velithon._runtime.source import place_of
from velithon.checks.finding import Checked, Finding, describe_route, iterate_groups

if TYPE_CHECKING:
    from types import CellType

__all__ = ["check_wrappers"]


def check_wrappers(application: Checked) -> Iterator[Finding]:
    """Yield the routes whose function was wrapped after they took it.

    Their module has another function under the same name.
    """
    for prefix, routes in iterate_groups(application.routes):
        for route in routes:
            endpoint = getattr(route, "endpoint", None)
            if not inspect.isfunction(endpoint) or "." in endpoint.__qualname__:
                continue
            found = vars(sys.modules.get(endpoint.__module__, sys)).get(endpoint.__name__)
            if found is endpoint or not _is_wrapper_of(found, endpoint):
                continue
            yield Finding(
                place_of(endpoint),
                "decorator-above-route",
                f"{describe_route(route, prefix, sorted(getattr(route, 'methods', None) or ()))}: a decorator above the"
                f" route's wraps {endpoint.__name__}() after the route has it, so no request passes through it."
                " Put the route's decorator on top.",
            )


def _is_wrapper_of(found: object, endpoint: object) -> bool:
    """Tell whether a decorator made `found` of a function, by `functools.wraps` or by what its code remembers."""
    # `inject`, whose work a plan does itself, and what else returns an object of ours for a function.
    if hasattr(found, "__velithon_inject__") or type(found).__module__.partition(".")[0] == "velithon":
        return False
    while found is not None:
        closure = getattr(found, "__closure__", None) or ()
        if found is endpoint or any(_read_cell(cell) is endpoint for cell in closure):
            return True
        found = getattr(found, "__wrapped__", None)
    return False


def _read_cell(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None
