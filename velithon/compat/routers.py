"""FastAPI's routers and routes as ours.

They are read by their attributes, so that fastapi is never imported.

Whoever calls gives our classes, which this module does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.routing import BaseRoute

from velithon.exceptions import RegistrationError

__all__ = ["Classes", "adopt_route", "adopt_router", "adopt_routes", "is_foreign"]

_OPTIONS = (
    "name",
    "response_model",
    "response_model_include",
    "response_model_exclude",
    "response_model_by_alias",
    "response_model_exclude_unset",
    "response_model_exclude_defaults",
    "response_model_exclude_none",
    "response_class",
    "status_code",
    "summary",
    "description",
    "response_description",
    "operation_id",
    "openapi_extra",
    "dependencies",
    "tags",
    "responses",
    "deprecated",
    "include_in_schema",
    "callbacks",
    "generate_unique_id_function",
    "strict_content_type",
    "max_body_size",
)
_SHARED = (
    "tags",
    "dependencies",
    "responses",
    "callbacks",
    "deprecated",
    "include_in_schema",
    "generate_unique_id_function",
    "strict_content_type",
    "max_body_size",
)


class Classes(NamedTuple):
    """Our classes, for what FastAPI's become."""

    route: Any
    websocket_route: Any
    router: Any = None


def is_foreign(item: object, name: str) -> bool:
    """Tell whether an object is of FastAPI's class of that name and not of ours."""
    return not type(item).__module__.startswith("velithon.") and any(
        cls.__name__ == name and cls.__module__.partition(".")[0] == "fastapi" for cls in type(item).__mro__
    )


def adopt_router(router: Any, classes: Classes) -> object:
    """Return a router of ours with the routes of FastAPI's.

    One of ours as it is.

    Raises:
        RegistrationError: It is no router, or one of its routes cannot be served.
    """
    if isinstance(router, classes.router):
        return router
    if not is_foreign(router, "APIRouter"):
        raise RegistrationError(f"include_router takes a Router, or FastAPI's APIRouter, not {router!r}.")
    adopted = classes.router(lifespan=router.lifespan_context, redirect_slashes=router.redirect_slashes)
    for route in [*router.routes, *getattr(router, "_low_priority_routes", ())]:
        if is_foreign(route, "_IncludedRouter"):
            context = route.include_context
            shared = _read_attributes(context, _SHARED)
            default = _drop_placeholder(context.default_response_class)
            adopted.include_router(
                adopt_router(route.original_router, classes),
                prefix=context.prefix,
                default_response_class=default,
                **shared,
            )
        else:
            adopted.add_existing(adopt_route(route, classes))
    return adopted


def adopt_routes(routes: Iterable[BaseRoute], classes: Classes) -> Iterator[BaseRoute]:
    """Yield routes, those of FastAPI's as ours."""
    for route in routes:
        if is_foreign(route, "_IncludedRouter"):
            raise RegistrationError("A router that FastAPI's router includes goes with it: use include_router().")
        yield adopt_route(route, classes)


def adopt_route(route: BaseRoute, classes: Classes) -> BaseRoute:
    """Return a route of ours for one of FastAPI's; any other as it is.

    Raises:
        RegistrationError: Its signature cannot be served.
    """
    made: BaseRoute
    theirs: Any = route
    if is_foreign(route, "APIWebSocketRoute"):
        dependencies = list(theirs.dependencies)
        made = classes.websocket_route(theirs.path, theirs.endpoint, name=theirs.name, dependencies=dependencies)
        return made
    if not is_foreign(route, "APIRoute"):
        return route
    options = _read_attributes(theirs, _OPTIONS)
    options.setdefault("response_model", None)
    cls = _build_handler_class(theirs, classes.route) or classes.route
    made = cls(theirs.path, theirs.endpoint, methods=theirs.methods, **options)
    return made


def _read_attributes(source: object, names: Iterable[str]) -> dict[str, Any]:
    """Return the attributes that somebody has set.

    FastAPI's placeholders stand for its defaults, which are ours.
    """
    values = {name: getattr(source, name, None) for name in names}
    return {name: value for name, value in values.items() if _drop_placeholder(value) is not None}


def _drop_placeholder(value: object) -> object:
    return None if type(value).__name__ == "DefaultPlaceholder" else value


def _build_handler_class(theirs: Any, route_class: Any) -> Any:
    """Return a class of routes that runs a FastAPI subclass's `get_route_handler` around our handler."""
    base: Any = next(
        cls for cls in type(theirs).__mro__ if cls.__name__ == "APIRoute" and cls.__module__ == "fastapi.routing"
    )
    if type(theirs).get_route_handler is base.get_route_handler:
        return None

    class Adopted(route_class):  # type: ignore[misc]  # a class that the caller gives
        def get_route_handler(self) -> Callable[[Request], object]:
            inner = super().get_route_handler
            # `super().get_route_handler()` in the subclass finds ours, which stands before FastAPI's.
            ours = type("APIRoute", (base,), {"get_route_handler": lambda _: inner()})
            bridge: Any = object.__new__(type(type(theirs).__name__, (type(theirs), ours), {}))
            vars(bridge).update(vars(theirs))
            handler: Callable[[Request], object] = bridge.get_route_handler()
            return handler

    Adopted.__name__ = Adopted.__qualname__ = type(theirs).__name__
    return Adopted
