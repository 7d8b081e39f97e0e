"""What applications, routers and routes can be given, and how the options of a router reach its routes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from velithon.datastructures import DefaultPlaceholder

if TYPE_CHECKING:
    from enum import Enum

    from pydantic.main import IncEx
    from starlette.middleware import Middleware
    from starlette.routing import BaseRoute

    from velithon.params import Depends
    from velithon.websocket.heartbeat import Heartbeat

__all__ = [
    "AppOptions",
    "RouteOptions",
    "Shared",
    "SharedList",
    "SharedMapping",
    "SharedOptions",
    "WebSocketOptions",
    "check_options",
    "join_options",
    "join_websocket_options",
]


class AppOptions(TypedDict, total=False):
    """What the routes of an application share. Meanings and defaults are FastAPI's.

    Keys:
        dependencies: Run before the endpoint; their values are not used.
        form_limits: `max_files`, `max_fields` (counts), `max_part_size` (bytes of one field that is no file).
        strict_content_type: Whether a JSON body needs a JSON `Content-Type`.
        raises: `HTTPException` subclasses, or instances, that belong in the document.
        max_body_size: In bytes; a larger body is answered with 413. It counts from the route on: what a layer reads
            before is in memory already, unless `BodyLimitMiddleware` stands around that layer.
        tags: Likewise for the document: `responses`, `deprecated`, `include_in_schema`, `callbacks`,
            `generate_unique_id_function`.
    """

    dependencies: Sequence[Depends] | None
    max_body_size: int | None
    form_limits: dict[str, Any] | None
    strict_content_type: Any
    raises: Sequence[type[Exception] | Exception]
    tags: Sequence[str | Enum] | None
    responses: dict[int | str, dict[str, Any]] | None
    deprecated: bool | None
    include_in_schema: bool
    callbacks: list[BaseRoute] | None
    generate_unique_id_function: Any


class SharedOptions(AppOptions, total=False):
    """What the routes of a router share: `AppOptions`, and layers.

    Keys:
        middleware: Layers around each of the routes, the outermost first.
    """

    middleware: Sequence[Middleware] | None


class RouteOptions(SharedOptions, total=False):
    """What a route can be given beside its path, its endpoint and its methods: `SharedOptions`, and its own.

    Keys:
        name: For `url_path_for`; the endpoint's name by default.
        response_model: What to validate, filter and document; the return annotation by default.
        response_model_include: Fields to keep; likewise `response_model_exclude`, `response_model_by_alias`,
            `response_model_exclude_unset`, `response_model_exclude_defaults`, `response_model_exclude_none`.
        response_class: The class of responses made of what the endpoint returns.
        status_code: The status of a success.
        summary: For the document; likewise `description`, `response_description`, `operation_id`, `openapi_extra`.
    """

    name: str | None
    response_model: Any
    response_model_include: IncEx | None
    response_model_exclude: IncEx | None
    response_model_by_alias: bool
    response_model_exclude_unset: bool
    response_model_exclude_defaults: bool
    response_model_exclude_none: bool
    response_class: Any
    status_code: int | None
    summary: str | None
    description: str | None
    response_description: str
    operation_id: str | None
    openapi_extra: dict[str, Any] | None


class WebSocketOptions(TypedDict, total=False):
    """What a WebSocket route can be given beside its path, its endpoint and its name.

    Keys:
        dependencies: Run before the endpoint; their values are not used.
        middleware: Layers around this route alone, the outermost first.
        heartbeat: A `velithon.websocket.Heartbeat`, or its interval in seconds.
        allowed_origins: Whose pages may connect, such as `https://example.org`; a handshake of another origin is
            refused with 403. All by default.
    """

    dependencies: Sequence[Depends] | None
    middleware: Sequence[Middleware] | None
    heartbeat: Heartbeat | float | None
    allowed_origins: Collection[str] | None


def join_websocket_options(outer: RouteOptions, inner: WebSocketOptions) -> WebSocketOptions:
    """Return the options of a WebSocket route inside a router: the router's dependencies and layers come first."""
    joined = inner.copy()
    joined["dependencies"] = [*(outer.get("dependencies") or ()), *(inner.get("dependencies") or ())]
    joined["middleware"] = [*(outer.get("middleware") or ()), *(inner.get("middleware") or ())]
    return joined


# What an outer router adds to, or decides for, the routes inside it, and how.
_JOINED: dict[str, Callable[[Any, Any], Any]] = {
    "tags": lambda outer, inner: [*(outer or ()), *(inner or ())],
    "dependencies": lambda outer, inner: [*(outer or ()), *(inner or ())],
    "callbacks": lambda outer, inner: [*(outer or ()), *(inner or ())],
    "middleware": lambda outer, inner: [*(outer or ()), *(inner or ())],
    "raises": lambda outer, inner: [*(outer or ()), *(inner or ())],
    "responses": lambda outer, inner: {**(outer or {}), **(inner or {})},
    "form_limits": lambda outer, inner: {**(outer or {}), **(inner or {})},
    "deprecated": lambda outer, inner: inner or outer,
    "include_in_schema": lambda outer, inner: inner and outer,
    "max_body_size": lambda outer, inner: outer if inner is None else inner,
}
_FALLBACK = ("response_class", "generate_unique_id_function", "strict_content_type")


def join_options(outer: RouteOptions, inner: RouteOptions) -> RouteOptions:
    """Return the options of a route inside a router: the route's own, with the router's where they belong."""
    joined: dict[str, Any] = dict(inner)
    given: dict[str, Any] = dict(outer)
    for name, value in given.items():
        if name not in joined:
            # A copy, because the router's own may grow.
            joined[name] = value.copy() if isinstance(value, list | dict) else value
        elif name in _JOINED:
            joined[name] = _JOINED[name](value, joined[name])
        elif name in _FALLBACK and isinstance(joined[name], DefaultPlaceholder):
            joined[name] = value
    return joined  # type: ignore[return-value]


def check_options(where: str, options: Any, known: type) -> None:
    """Refuse options that do not exist.

    Args:
        where: What was called.
        options: What it was given.
        known: The `TypedDict` of what it takes.

    Raises:
        TypeError: There are others.
    """
    unknown = options.keys() - known.__optional_keys__  # type: ignore[attr-defined]
    if unknown:
        raise TypeError(f"{where}() got unknown options: {', '.join(sorted(unknown))}.")


class Shared:
    """What the routes of a router share, as an attribute of it.

    Args:
        name: The option.
        default: Its value where nobody chose one.
    """

    def __init__(self, name: str, default: Any = None) -> None:
        self.name = name
        self.default = default

    def __get__(self, router: Any, owner: type) -> Any:
        if router is None:
            return self
        return router.shared.get(self.name, self.default)

    def __set__(self, router: Any, value: Any) -> None:
        router.shared[self.name] = value


class SharedList(Shared):
    """A list that may be added to."""

    make: Callable[[], Any] = list

    def __get__(self, router: Any, owner: type) -> Any:
        if router is None:
            return self
        shared: dict[str, Any] = router.shared
        if shared.get(self.name) is None:
            shared[self.name] = self.make()
        return shared[self.name]


class SharedMapping(SharedList):
    """A mapping that may be added to."""

    make = dict
