"""The cache of one route."""

from __future__ import annotations

import time
from string import Formatter
from typing import TYPE_CHECKING, Any, Protocol

from velithon.cache.engine import ResponseCache
from velithon.cache.entry import Entry
from velithon.cache.policy import POLICY
from velithon.exceptions import RegistrationError
from velithon.faces.capture import build_call_next
from velithon.faces.serve import build_rsgi_app
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.base import Response
from velithon.signature.fields import find_param_model
from velithon.signature.values import iterate_header_names
from velithon.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from velithon._runtime.owner import Owner
    from velithon.cache.policy import CachePolicy
    from velithon.faces.serve import HandlingOwner, Responder
    from velithon.requests.request import Request
    from velithon.signature import EndpointModel
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

    PathParams = dict[str, Any]
    HitPlan = Callable[[HTTPScope, PathParams], Awaitable[Response]]
    # Query, host, scheme, key, what the store keeps, until when, the response.
    Recent = tuple[str, str, str, str, object, float, Response]

    class CachedRoute(Protocol):
        """What the cache needs of a route."""

        @property
        def path(self) -> str: ...

        @property
        def param_convertors(self) -> Mapping[str, object]: ...

        @property
        def path_format(self) -> str: ...

        @property
        def _provider(self) -> HandlingOwner | None: ...


__all__ = ["build_cached_responder", "check_tags", "read_key_headers"]

# How many responses of a route are at hand, and how large they may be, in bytes.
_RECENT, _SMALL = 128, 64 * 1024


def build_cached_responder(route: CachedRoute, model: EndpointModel, respond: Responder) -> Responder:
    """Return the responder of a decorated endpoint, which answers from the cache where it can.

    Args:
        route: The route.
        model: The endpoint's signature: the headers in it belong to the key, those of its security schemes to nobody.
        respond: Answers without the cache.
    """
    # Again for a route that no application has adopted.
    check_tags(route, model.call)
    cache = ResponseCache(
        getattr(model.call, POLICY),
        f"{route.path_format} ",
        read_key_headers(model),
        set(_iterate_secret_headers(model)),
    )
    answer, call = cache.answer, build_call_next(respond)

    def responder(request: Request) -> Awaitable[Any]:
        return answer(request, call)

    if cache.is_plain and route._provider is not None:
        # A face asks these before it makes a request.
        responder.__velithon_plan__ = responder  # type: ignore[attr-defined]  # functions take attributes
        responder.__velithon_scope_plan__ = build_hit_plan(cache, responder, route)  # type: ignore[attr-defined]  # functions take attributes
    return responder


def build_hit_plan(cache: ResponseCache, responder: Responder, route: CachedRoute) -> HitPlan:
    """Return a plan that answers cache hits straight from an RSGI scope.

    It is `async plan(scope, path_params) -> Response`, for routes without layers.

    A fresh response in memory is sent from there: that costs less than making a small JSON response. Anything else is
    left to the responder, which gets a request then.
    """
    hits = Hits(cache, route._provider)
    owner, now_is, recent, find = hits.owner, time.time, hits.recent, hits.find
    nothing: Any = (None,) * 7

    async def plan(scope: HTTPScope, params: PathParams) -> Response:
        get = scope.headers.get
        query, host, scheme, full, kept, until, shown = recent.get(scope.path, nothing)
        if (
            kept is not None
            and scope.query_string == query
            and (scope.authority or get("host")) == host
            and scope.scheme == scheme
            # What was dropped, or has taken its place, is another object.
            and hits.entries.get(full) is kept
            and now_is() < until
            and get("authorization") is None
            and get("cookie") is None
            and get("if-none-match") is None
            and owner._store is hits.base
        ):
            return shown  # type: ignore[no-any-return]  # in the table as it is
        return find(scope) or Miss(responder, route, params)

    return plan


class Hits:
    """Finds responses in memory over an RSGI scope.

    Args:
        cache: Whose keys they have.
        owner: The application.

    Attributes:
        base: The application's store.
        entries: What it keeps, if it is in memory.
        recent: Path -> the rest of a URL, its key, what is kept there, and the response to be sent until a time. Few
            and small ones: what the store has dropped may stay here for a while.
    """

    def __init__(self, cache: ResponseCache, owner: Any) -> None:
        self.cache = cache
        self.owner = owner
        self.base: object = self
        self.entries: Any = {}
        self.recent: dict[str, Recent] = {}
        self._start = ""

    def find(self, scope: HTTPScope) -> Response | None:
        """Return a fresh response, or 304; `None` where a request is needed to tell."""
        if self.owner._store is not self.base:
            self._look_at_store()
        headers = scope.headers
        get = headers.get
        if get("authorization") is not None or get("cookie") is not None:
            return None
        host = scope.authority or get("host")
        full = f"{self._start}{scope.scheme}://{host}{scope.path}?{scope.query_string}"
        kept = self.entries.get(full)
        if kept is None or type(entry := kept[0]) is not Entry or entry.tags:
            return None
        now = time.time()
        if now >= entry.fresh_until:
            return None
        # Once a second is often enough to say that it is in use.
        self.entries.move_to_end(full)
        condition = get("if-none-match")
        if condition is not None or entry.last_modified is not None:
            return entry.answer(now, condition, get("if-modified-since"))
        response = entry.response(now)
        if host is not None and len(entry) <= _SMALL:
            if len(self.recent) >= _RECENT:
                self.recent.clear()
            until = min(entry.born + max(0, int(now - entry.born)) + 1, entry.fresh_until)
            self.recent[scope.path] = (scope.query_string, host, scope.scheme, full, kept, until, response)
        return response

    def _look_at_store(self) -> None:
        view = self.cache.store.of(self.owner)
        self.base = self.owner._store
        self.recent.clear()
        self.entries = {}
        if type(view) is MemoryStore:
            self.entries, self._start = view._memory.entries, view._start + self.cache.place


class Miss(Response):
    """Stands for the answer of a responder that has not run yet.

    It runs when the face hands over the scope and the protocol, of which a request is made.
    """

    def __init__(self, responder: Responder, route: CachedRoute, params: PathParams) -> None:
        self.responder = responder
        self.route = route
        self.params = params
        self.background = None

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None]:
        """Answer as a route with no plan over the scope does."""
        owner: Any = self.route._provider
        errors = owner._errors

        async def respond(request: Request) -> object:
            try:
                return await self.responder(request)
            except Exception as exc:  # noqa: BLE001 - raised again where nobody handles it
                return await errors.respond(request, exc)

        def make(scope: HTTPScope, protocol: HTTPProtocol, owner: Owner) -> RSGIRequest:
            request = RSGIRequest(scope, protocol, owner)
            request._route, request._params = self.route, self.params
            return request

        return build_rsgi_app(respond, owner, errors, make)(scope, protocol)


def read_key_headers(model: EndpointModel) -> list[str]:
    """Return the names of the headers that a decorated endpoint takes.

    They belong to the key. Headers of its dependencies count as well.

    Raises:
        RegistrationError: A model takes whatever headers there are.
    """
    names: list[str] = []
    for node in model.walk():
        for field in node.header_params:
            headers = find_param_model(field)
            if headers is not None and headers.model_config.get("extra") == "allow":
                raise RegistrationError(
                    f"{headers.__qualname__} takes headers that it does not name (extra='allow'), so that @cache "
                    "cannot tell two requests apart. Name the headers as fields, or leave out extra='allow'.",
                    endpoint=node.call,
                    parameter=field.name,
                )
            names += iterate_header_names(field)
    return names


def check_tags(route: CachedRoute, call: Callable[..., object]) -> None:
    """Check that a route's path has every parameter that the tags of its response name.

    Args:
        route: With its whole path.
        call: The endpoint, or a method of its class.

    Raises:
        RegistrationError: A tag names something else, such as the value of a dependency, which a hit does not resolve.
    """
    policy: CachePolicy = getattr(call, POLICY)
    for tag in () if callable(policy.tags) else policy.tags:
        for _, name, _, _ in Formatter().parse(tag):
            if name is not None and name not in route.param_convertors:
                raise RegistrationError(
                    f"The tag {tag!r} of @cache names {name!r}, which is no parameter of the path {route.path!r}. A "
                    "function makes tags of anything else in the request: tags=lambda request: [...].",
                    endpoint=call,
                )


def _iterate_secret_headers(model: EndpointModel) -> Iterator[str]:
    """Yield the names of the headers that security schemes read."""
    for node in model.walk():
        scheme: Any = node.call
        if node.is_security_scheme and getattr(scheme, "location", None) == "header":
            yield scheme.name.lower()
