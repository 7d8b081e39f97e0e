"""A request taken apart: each stage of the RSGI face, run by itself on the objects that the whole way would use.

resolve
    finding the route
request
    making the request object, for endpoints that need one
bind
    the endpoint's plan without the endpoint: reading, validating, dependencies and their exits
call
    the endpoint itself
encode
    from what it returned to a response
send
    the response's own sending
rest
    what is left of the whole: the face around these, and the layers
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from benchmarks.core.cases import Case
from benchmarks.core.measure import Thunk
from benchmarks.core.memory import ASGIExchange, Protocol, Scope
from velithon.requests.rsgi import RSGIRequest
from velithon.responses import Response
from velithon.routing.table import MISS
from velithon.signature.result import compile_result

__all__ = ["STAGES", "asgi_thunk", "finish", "rsgi_thunk", "stage_thunks"]

STAGES = ("resolve", "request", "bind", "call", "encode", "send", "rest")


async def rsgi_thunk(app: Any, case: Case, who: str) -> Thunk:
    """Return one whole request over RSGI, after its answer was checked."""
    face = app.__rsgi__
    scope = Scope(case.method, case.target, case.headers)
    protocol = Protocol(case.body)
    for _ in range(2):  # the first request of a route makes its plan
        await face(scope, protocol)
        case.check(protocol.sent[0], protocol.sent[2], who)
    return _whole(lambda: face(scope, protocol), case.waits)


async def asgi_thunk(app: Any, case: Case, who: str, waits: bool = False) -> Thunk:
    """Return one whole request over ASGI, after its answer was checked."""
    exchange = ASGIExchange(case.method, case.target, case.headers, case.body)
    scope, receive, send = exchange.scope, exchange.receive, exchange.send
    for _ in range(2):
        await app(dict(scope), receive, send)
        case.check(exchange.status, exchange.body, who)
    # A server makes a new dictionary for each request, too.
    return _whole(lambda: app(dict(scope), receive, send), waits or case.waits)


def _whole(start: Callable[[], Any], waits: bool) -> Thunk:
    async def waiting() -> None:
        await start()

    def whole() -> None:
        # What never waits needs no loop: that leaves out what the loop costs.
        _result(start())

    return waiting if waits else whole


def stage_thunks(app: Any, case: Case) -> dict[str, Thunk]:
    """Return what can be measured by itself; `finish` makes the stages of it.

    `plan` includes `prepared`, `call` and `encode`. A request that finds no route is resolved, and made where somebody
    looks at it.
    """
    table = app.router.table
    # Any: these have what a request reads of Granian's objects, not all that the contract names.
    scope: Any = Scope(case.method, case.target, case.headers)
    protocol: Any = Protocol(case.body)
    method, path = scope.method, scope.path

    def nothing() -> None:
        return None

    def resolve() -> Any:
        exact = table.exact.get(path)
        answer = table.by_tree(method, path) if exact is None else exact.answers.get(method)
        return answer or table.resolve(method, path)

    def request() -> Any:
        return RSGIRequest(scope, protocol, app)

    thunks: dict[str, Thunk] = {"nothing": nothing, "resolve": resolve, "request": request}
    found = table.resolve(method, path)
    layered = app._get_composed()[1] is not None
    if not layered and resolve() is MISS:
        del thunks["request"]
    if found is not None and not case.waits:
        route: Any = found.route
        if not layered and (route.direct_call is not None or route.scope_plan is not None):
            del thunks["request"]
        thunks.update(_plan_thunks(route, found.path_params, scope, protocol, request, layered))
    return thunks


def _plan_thunks(
    route: Any, params: dict[str, Any], scope: Any, protocol: Any, request: Callable[[], Any], layered: bool
) -> dict[str, Thunk]:
    respond = route._compile_handler(route.model, route.methods)
    to_response = compile_result(route.model, route.response_options)

    def prepared() -> Any:
        if is_short:
            return None
        made = request()
        made._route = route
        made._params = params
        return made

    async def bare() -> Any:
        value = await route.direct_call[0]()
        return value if isinstance(value, Response) else route.direct_call[1](value, scope, None, None)

    # As the face chooses, which knows of the short ways from the first request on.
    short: Callable[..., Any] | None = None if layered else bare if route.direct_call is not None else route.scope_plan
    is_short = short is not None

    def plan() -> Any:
        if short is not None:
            return _result(short() if short is bare else short(scope, params))
        made = prepared()
        answer = _result(respond(made))
        if made._exit_stack is not None:  # the face runs the exits, but it is the plan that asks for them
            _result(made._exit_stack.aclose())
        return answer

    arguments, result, response = _observed(route.endpoint, plan)
    endpoint = inspect.unwrap(route.endpoint)

    def call() -> None:
        try:
            endpoint(**arguments).send(None)
        except StopIteration:
            return

    def encode() -> Any:
        return to_response(result, scope, None, None)

    def send() -> Any:
        return response.send_rsgi(scope, protocol)

    return {"prepared": prepared, "plan": plan, "call": call, "encode": encode, "send": send}


def _result(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError(f"{coroutine!r} has to wait for something")


def _observed(endpoint: Any, run: Callable[[], Any]) -> tuple[dict[str, Any], Any, Any]:
    """Return the arguments that a run gives the endpoint, what the endpoint returns, and what the run returns."""
    code = inspect.unwrap(endpoint).__code__
    arguments: dict[str, Any] = {}
    results: list[Any] = []

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if frame.f_code is code and event == "call":
            arguments.update(frame.f_locals)
        elif frame.f_code is code and event == "return":
            results.append(argument)

    sys.setprofile(profile)
    try:
        response = run()
    finally:
        sys.setprofile(None)
    return {name: arguments[name] for name in inspect.getargs(code).args}, results[-1], response


def finish(measured: dict[str, float], total: float) -> dict[str, float]:
    """Return the stages of a request from what was measured by itself, without the cost of calling the measured."""
    nothing = measured.pop("nothing")
    own = {name: max(value - nothing, 0.0) for name, value in measured.items()}
    plan = own.pop("plan", None)
    if plan is not None:
        own["bind"] = max(plan - own.pop("prepared") - own["call"] - own["encode"], 0.0)
    own["rest"] = total - sum(own.values())
    return {name: own[name] for name in STAGES if name in own}
