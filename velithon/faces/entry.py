"""Builds the function that an RSGI server calls.

It does the work of the router's table, the endpoint's plan and the response in one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from velithon.background import set_aside
from velithon.exceptions import HTTPException
from velithon.faces.capture import AS_THEY_ARE, as_response, build_call_next
from velithon.faces.serve import answer_failure, finish_rsgi, to_response
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.base import Response
from velithon.responses.custom import CustomSending
from velithon.routing.table import MISS

if TYPE_CHECKING:
    from velithon.faces.serve import ErrorHandlers, HandlingOwner, Responder, RSGIApp
    from velithon.requests.request import Request
    from velithon.routing.router import Router
    from velithon.routing.table import Answer
    from velithon_adapters.rsgi import HTTPProtocol, HTTPScope

    class EntryOwner(HandlingOwner, Protocol):
        """An application that RSGI servers call."""

        @property
        def router(self) -> Router: ...

        def _get_composed(self) -> tuple[ErrorHandlers, Responder | None, Response | None]: ...


__all__ = ["build_router_call_next", "build_rsgi_entry"]


def build_rsgi_entry(app: EntryOwner) -> RSGIApp:  # noqa: C901 - one function on purpose, see below
    """Return what a server calls.

    It composes the layers at the first request, and without any it answers by itself.

    It says again, in one function, what `build_rsgi_app`, the exception layer and the router say in three: each call
    less saves about 0.1 µs of a request that costs ten. An endpoint that takes nothing of the request is called without
    one, and one that takes no more than values of its path and query gets the scope.
    """
    errors: ErrorHandlers | None = None
    outermost: Responder | None = None
    missing: Response | None = None
    router = app.router

    def make_request(scope: HTTPScope, protocol: HTTPProtocol, answer: Answer | None) -> RSGIRequest:
        """Make the request that an endpoint did not need, for those who answer what became of it."""
        request = RSGIRequest(scope, protocol, app)
        if answer is not None and answer is not MISS:
            request._route, request._params = answer
        return request

    async def serve(scope: Any, protocol: HTTPProtocol) -> None:  # noqa: C901 - see above
        nonlocal errors, outermost, missing
        if scope.proto == "ws":
            await app._run_websocket(scope, protocol)
            return
        if errors is None:
            errors, outermost, missing = app._get_composed()
        request: RSGIRequest | None = None
        answer: Answer | None = None
        response: object = None
        try:
            if outermost is not None:
                request = RSGIRequest(scope, protocol, app)
                response = await outermost(request)
            else:
                try:
                    table = router._table or router.table
                    exact = table.exact.get(scope.path)
                    if exact is None:
                        answer = table.by_tree(scope.method, scope.path)
                    else:
                        answer = exact.answers.get(scope.method)
                    if answer is None:
                        request = RSGIRequest(scope, protocol, app)
                        response = await router.search(request, scope.method, scope.path)
                    elif (direct_call := answer[0].direct_call) is not None:
                        response = await direct_call[0]()
                        if not isinstance(response, Response):
                            response = direct_call[1](response, scope, None, None)
                    elif (scope_plan := answer[0].scope_plan) is not None:
                        response = await scope_plan(scope, answer[1])
                    elif answer is MISS:
                        # A browser may get a page.
                        if missing is None or "text/html" in (scope.headers.get("accept") or ""):
                            raise HTTPException(404)
                        response = missing
                    else:
                        request = RSGIRequest(scope, protocol, app)
                        request._route, request._params = answer
                        response = await answer[0].respond(request)
                except Exception as exc:  # noqa: BLE001 - raised again where nobody handles it
                    request = make_request(scope, protocol, answer) if request is None else request
                    response = await errors.respond(request, exc)
            if not isinstance(response, Response):
                request = make_request(scope, protocol, answer) if request is None else request
                response = to_response(response, request)
            pending = response.send_rsgi(scope, protocol)
            if pending is not None:
                if type(pending) is CustomSending:
                    request = make_request(scope, protocol, answer) if request is None else request
                    pending = pending.send(request)
                await pending
            if response.background is not None or (request is not None and request._opened):
                await finish_rsgi(app, request, response)
        except BaseException as exc:  # noqa: BLE001 - answered or raised again there
            request = make_request(scope, protocol, answer) if request is None else request
            await answer_failure(request, response, exc, errors)

    return serve


def build_router_call_next(router: Router, errors: ErrorHandlers) -> Responder:
    """Return the router as the innermost dispatch layer calls it.

    For a request over RSGI it says again, in one function, what `build_call_next`, the router and the plan of an
    endpoint that takes nothing say in four.

    Args:
        router: Answers.
        errors: Answers what that raises.
    """
    otherwise = build_call_next(router.respond, errors)

    async def call_next(request: Request) -> object:
        if (
            type(request) is not RSGIRequest
            or request._scope is not None
            or request._stream_consumed
            or request._app.root_path
        ):
            return await otherwise(request)
        scope = request._rsgi
        response: Any
        try:
            table = router._table or router.table
            exact = table.exact.get(scope.path)
            answer = table.by_tree(scope.method, scope.path) if exact is None else exact.answers.get(scope.method)
            if answer is None or answer is MISS:
                response = await router.respond(request)
            else:
                request._route, request._params = answer
                direct_call = answer[0].direct_call
                if direct_call is None:
                    response = await answer[0].respond(request)
                else:
                    response = await direct_call[0]()
                    if not isinstance(response, Response):
                        response = direct_call[1](response, request, None, None)
        except Exception as exc:  # noqa: BLE001 - raised again where nobody handles it
            response = await errors.respond(request, exc)
        if type(response) not in AS_THEY_ARE:
            response = await as_response(response, request)
        if response.background is not None:
            set_aside(request.scope, response)
        return response

    return call_next
