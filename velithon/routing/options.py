"""The options of applications, routers and routes, and how they are joined."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict

from velithon.datastructures import DefaultPlaceholder
from velithon.signature.limits import check_limits, check_size

if TYPE_CHECKING:
    from enum import Enum

    from pydantic.main import IncEx
    from starlette.middleware import Middleware
    from starlette.responses import Response as StarletteResponse
    from starlette.routing import BaseRoute

    from velithon._runtime.json_values import JSONObject
    from velithon.params import Depends
    from velithon.websocket.heartbeat import Heartbeat

__all__ = [
    "AROUND",
    "AppOptions",
    "RouteOptions",
    "Shared",
    "SharedList",
    "SharedMapping",
    "SharedOptions",
    "WebSocketOptions",
    "check_options",
    "check_size",
    "join_options",
    "join_websocket_options",
]


class AppOptions(TypedDict, total=False):
    """What the routes of an application share. Meanings and defaults are FastAPI's."""

    dependencies: Sequence[Depends] | None
    """Run before the endpoint; their values are not used."""
    max_body_size: int | None
    """In bytes; a larger body is answered with 413. No limit by default.

    It counts from the route on: what a layer reads before is in memory already, unless `BodyLimitMiddleware` stands
    around that layer.
    """
    form_limits: dict[str, int] | None
    """`max_files` and `max_fields` (counts, 1000 each), `max_part_size` (bytes of one field that is no file, 1 MiB)."""
    strict_content_type: bool | DefaultPlaceholder
    """Whether a JSON body needs a JSON `Content-Type`; by default it does."""
    raises: Sequence[type[Exception] | Exception]
    """`HTTPException` subclasses, or instances, that the document shows as responses."""
    tags: Sequence[str | Enum] | None
    """The groups that the document shows the operations in."""
    responses: dict[int | str, JSONObject] | None
    """More responses for the document: status code, or `4XX`, or `default` -> `description`, `model` and the like."""
    deprecated: bool | None
    """Whether the document marks the operations as deprecated."""
    include_in_schema: bool
    """Whether the document shows the operations; by default it does."""
    callbacks: list[BaseRoute] | None
    """Routes that the document shows as what the server calls at its client."""
    generate_unique_id_function: Any
    """`function(route) -> str`: the operation's identifier in the document, where `operation_id` gives none."""


class SharedOptions(AppOptions, total=False):
    """What the routes of a router share: `AppOptions`, and layers."""

    middleware: Sequence[Middleware] | None
    """Layers around each of the routes, the outermost first."""


class RouteOptions(SharedOptions, total=False):
    """The options of a route: `SharedOptions`, and its own."""

    name: str | None
    """For `url_path_for`; the endpoint's name by default."""
    response_model: Any
    """What results are validated, filtered and documented as; the return annotation by default, `None` for nothing."""
    response_model_include: IncEx | None
    """The fields of the result that are sent; all by default."""
    response_model_exclude: IncEx | None
    """The fields of the result that are not sent."""
    response_model_by_alias: bool
    """Whether fields are sent under their aliases; by default they are."""
    response_model_exclude_unset: bool
    """Whether fields that nobody set are left out."""
    response_model_exclude_defaults: bool
    """Whether fields that equal their default are left out."""
    response_model_exclude_none: bool
    """Whether fields that are `None` are left out."""
    response_class: ResponseClass
    """The class of responses made of what the endpoint returns; `JSONResponse` by default."""
    status_code: int | None
    """The status of a success; that of the response class, 200, by default."""
    summary: str | None
    """The operation's title in the document; the endpoint's name in words by default."""
    description: str | None
    """The operation's description in the document, as Markdown; the endpoint's docstring by default."""
    response_description: str
    """The description of a success in the document."""
    operation_id: str | None
    """The operation's identifier in the document, which generated clients use as a name."""
    openapi_extra: JSONObject | None
    """Merged into the operation in the document, in depth."""


class WebSocketOptions(TypedDict, total=False):
    """What a WebSocket route can be given beside its path, its endpoint and its name."""

    dependencies: Sequence[Depends] | None
    """Run before the endpoint; their values are not used."""
    middleware: Sequence[Middleware] | None
    """Layers around this route alone, the outermost first."""
    heartbeat: Heartbeat | float | None
    """A `velithon.websocket.Heartbeat`, or its interval in seconds; none by default."""
    allowed_origins: Collection[str] | None
    """Whose pages may connect, such as `https://example.org`; others are refused with 403. All by default."""


ResponseClass: TypeAlias = "type[StarletteResponse] | DefaultPlaceholder"

AROUND = ("middleware", "max_body_size")
"""What a router is given for all that it serves, whether it is added here or exists already."""


def join_websocket_options(outer: RouteOptions, inner: WebSocketOptions) -> WebSocketOptions:
    """Return the options of a WebSocket route inside a router.

    The router's dependencies and layers come first.
    """
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
    """Return the options of a route inside a router.

    They are the route's own, with the router's where they belong.
    """
    joined: dict[str, object] = dict(inner)
    given: dict[str, object] = dict(outer)
    for name, value in given.items():
        if name not in joined:
            # A copy, because the router's own may grow.
            joined[name] = value.copy() if isinstance(value, list | dict) else value
        elif name in _JOINED:
            joined[name] = _JOINED[name](value, joined[name])
        elif name in _FALLBACK and isinstance(joined[name], DefaultPlaceholder):
            joined[name] = value
    return joined  # type: ignore[return-value]  # the keys are those of the two TypedDicts


def check_options(where: str, options: Any, known: type) -> None:
    """Refuse options that do not exist, and limits that cannot be kept.

    Args:
        where: What was called.
        options: What it was given.
        known: The `TypedDict` of what it takes.

    Raises:
        TypeError: There are others.
        LimitError: A limit is no number of at least 0.
    """
    unknown = options.keys() - known.__optional_keys__  # type: ignore[attr-defined]  # every TypedDict has it
    if unknown:
        raise TypeError(f"{where}() got unknown options: {', '.join(sorted(unknown))}.")
    check_size(options.get("max_body_size"))
    if options.get("form_limits") is not None:
        check_limits(options["form_limits"])
        # What the caller does to it later is no limit of ours.
        options["form_limits"] = dict(options["form_limits"])


class Sharing(Protocol):
    """A router, as far as this is about what its routes share."""

    shared: Any


class Shared:
    """What the routes of a router share, as an attribute of it.

    Args:
        name: The option.
        default: Its value where nobody chose one.
    """

    def __init__(self, name: str, default: object = None) -> None:
        self.name = name
        self.default = default

    def __get__(self, router: Sharing | None, owner: type) -> Any:
        if router is None:
            return self
        return router.shared.get(self.name, self.default)

    def __set__(self, router: Sharing, value: object) -> None:
        router.shared[self.name] = value


class SharedList(Shared):
    """A list that may be added to."""

    make: Callable[[], object] = list

    def __get__(self, router: Sharing | None, owner: type) -> Any:
        if router is None:
            return self
        shared = router.shared
        if shared.get(self.name) is None:
            shared[self.name] = self.make()
        return shared[self.name]


class SharedMapping(SharedList):
    """A mapping that may be added to."""

    make = dict
