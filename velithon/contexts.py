"""FastAPI's name for `velithon.routing.contexts`."""

from __future__ import annotations

from velithon.routing.contexts import RouteContext, iter_route_contexts

__all__ = ["RouteContext", "iter_route_contexts"]
