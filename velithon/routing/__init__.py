"""Routers, routes, and the table that finds the route of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Match, NoMatchFound

from velithon._runtime.lazy import lazy_attributes
from velithon.routing.mounts import Host, Mount
from velithon.routing.options import RouteOptions
from velithon.routing.router import APIRouter, Router
from velithon.routing.routes import (
    APIRoute,
    APIWebSocketRoute,
    Route,
    WebSocketRoute,
    generate_unique_id,
)

if TYPE_CHECKING:
    from velithon.routing.contexts import RouteContext, iter_route_contexts

__all__ = [
    "APIRoute",
    "APIRouter",
    "APIWebSocketRoute",
    "BaseRoute",
    "Host",
    "Match",
    "Mount",
    "NoMatchFound",
    "Route",
    "RouteContext",
    "RouteOptions",
    "Router",
    "WebSocketRoute",
    "generate_unique_id",
    "iter_route_contexts",
]

if not TYPE_CHECKING:
    # Kept out of the import of an application that does not use them.
    _CONTEXTS = dict.fromkeys(("RouteContext", "iter_route_contexts"), "velithon.routing.contexts")
    # What instruments look for in FastAPI's module of this name, to replace it.
    _INTERNALS = (
        "_IncludedRouter",
        "get_request_handler",
        "get_websocket_app",
        "request_response",
        "run_endpoint_function",
        "serialize_response",
        "solve_dependencies",
        "websocket_session",
    )
    __getattr__, __dir__ = lazy_attributes(
        __name__, {**_CONTEXTS, **dict.fromkeys(_INTERNALS, "velithon.compat.internals")}
    )
