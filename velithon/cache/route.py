"""The cache of one route."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from velithon.cache.engine import ResponseCache
from velithon.cache.entry import Entry
from velithon.cache.policy import POLICY
from velithon.faces.capture import build_call_next
from velithon.faces.serve import rsgi_face
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.base import Response
from velithon.signature.fields import aliases, model_fields, param_model
from velithon.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from velithon.faces.serve import Responder
    from velithon.signature import EndpointModel
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

__all__ = ["cached"]


def cached(route: Any, model: EndpointModel, respond: Responder) -> Responder:
    """Return the responder of a decorated endpoint, which answers from the cache where it can.

    Args:
        route: The route.
        model: The endpoint's signature: the headers in it belong to the key, those of its security schemes to nobody.
        respond: Answers without the cache.
    """
    cache = ResponseCache(getattr(model.call, POLICY), f"{route.path_format} ", _declared(model), set(_secret(model)))
    answer, call = cache.answer, build_call_next(respond)

    def responder(request: Any) -> Any:
        return answer(request, call)

    if cache.is_plain and route._provider is not None:
        # A face asks these before it makes a request.
        responder.__velithon_plan__ = responder  # type: ignore[attr-defined]
        responder.__velithon_scope_plan__ = hit_plan(cache, responder, route)  # type: ignore[attr-defined]
    return responder


def hit_plan(cache: ResponseCache, responder: Responder, route: Any) -> Callable[[Any, Any], Awaitable[Response]]:
    """Return `async plan(scope, path_params) -> Response` over an RSGI scope, for routes that no layer stands around.

    A fresh response in memory is sent from there: that costs less than making a small JSON response. Anything else is
    left to the responder, which gets a request then.
    """
    owner, place = route._provider, cache.place
    of = cache.store.of
    now_is = time.time
    base: Any = cache
    entries: Any = {}
    start = ""

    async def plan(scope: Any, params: Any) -> Response:
        nonlocal base, entries, start
        if owner._store is not base:
            view = of(owner)
            base = owner._store
            entries, start = (view._memory.entries, view._start + place) if type(view) is MemoryStore else ({}, "")
        get = scope.headers.get
        full = f"{start}{scope.scheme}://{get('host') or scope.authority}{scope.path}?{scope.query_string}"
        found = entries.get(full)
        if (
            found is not None
            and type(entry := found[0]) is Entry
            and get("authorization") is None
            and get("cookie") is None
        ):
            now = now_is()
            condition = get("if-none-match")
            if now < entry.shown_until and condition is None:
                return entry.shown
            if now < entry.fresh_until and not entry.tags:
                # Once a second is often enough to say that it is in use.
                entries.move_to_end(full)
                if condition is None and entry.last_modified is None:
                    return entry.show(now)
                return entry.answer(now, condition, get("if-modified-since"))
        return Miss(responder, route, params)

    return plan


class Miss(Response):
    """Stands for the answer of a responder, which runs when the face hands over what a request is made of."""

    def __init__(self, responder: Responder, route: Any, params: Any) -> None:
        self.responder = responder
        self.route = route
        self.params = params
        self.background = None

    def send_rsgi(self, scope: HTTPScope, protocol: HTTPProtocol) -> Awaitable[None]:
        """Answer as a route with no plan over the scope does."""
        owner = self.route._provider
        errors = owner._errors

        async def respond(request: Any) -> Any:
            try:
                return await self.responder(request)
            except Exception as exc:  # noqa: BLE001 - raised again where nobody handles it
                return await errors.respond(request, exc)

        def make(scope: Any, protocol: Any, owner: Any) -> RSGIRequest:
            request = RSGIRequest(scope, protocol, owner)
            request._route, request._params = self.route, self.params
            return request

        return rsgi_face(respond, owner, errors, make)(scope, protocol)


def _declared(model: EndpointModel) -> Iterator[str]:
    """Yield the names of the headers that the endpoint, or what it depends on, declares."""
    for node in model.walk():
        for field in node.header_params:
            inner = param_model(field)
            for parameter in [field] if inner is None else model_fields(inner):
                converts = getattr(parameter.info, "convert_underscores", True)
                for _, name in aliases(parameter, convert_underscores=converts):
                    yield name


def _secret(model: EndpointModel) -> Iterator[str]:
    """Yield the names of the headers that security schemes read."""
    for node in model.walk():
        scheme: Any = node.call
        if node.is_security_scheme and getattr(scheme, "location", None) == "header":
            yield scheme.name.lower()
