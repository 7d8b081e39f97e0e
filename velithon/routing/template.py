"""The template of the route that answered: `/items/{item_id}`, which names requests of one kind alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Mount

from velithon.requests.rsgi import RSGIRequest

if TYPE_CHECKING:
    from starlette.types import Scope

    from velithon.requests.request import Request

__all__ = ["MOUNTS", "get_route_template", "request_template"]

MOUNTS = "velithon.mounts"
"""In a scope: the mounts that the request went through, `tuple[Mount, ...]`, the outermost first."""


def request_template(request: Request) -> str | None:
    """Return the path template of the route that answered a request.

    Those of its mounts stand before it. `None` for none.
    """
    if isinstance(request, RSGIRequest) and request._scope is None:
        return _read_path(request._route)
    return get_route_template(request.scope)


def get_route_template(scope: Scope) -> str | None:
    """Return the path template of the route that answered a request or a WebSocket.

    `None` for none.
    """
    route = scope.get("route")
    if route is None:
        return None
    mounts = scope.get(MOUNTS, ())
    prefix = "".join(mount.path_format.removesuffix("/{path}") for mount in mounts)
    if isinstance(route, Mount):
        # An application inside that keeps its routes to itself, such as a directory of files.
        inside = "" if mounts and mounts[-1] is route else route.path_format.removesuffix("/{path}")
        return prefix + inside + "/{path}"
    path = _read_path(route)
    return None if path is None else prefix + path


def _read_path(route: object) -> str | None:
    path: str | None = getattr(route, "path", None)
    return f"{path.rstrip('/')}/{{path}}" if path is not None and getattr(route, "is_frontend", False) else path
