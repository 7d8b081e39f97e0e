"""Names of FastAPI's internals that packages import or replace.

Most are there to be found, and called by nobody.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from velithon._compat.starlette import is_async_callable
from velithon.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp

    class Called(Protocol):
        """The model of an endpoint."""

        call: Callable[..., object]


__all__ = [
    "_IncludedRouter",
    "get_request_handler",
    "get_websocket_app",
    "request_response",
    "run_endpoint_function",
    "serialize_response",
    "solve_dependencies",
    "websocket_session",
]


def get_request_handler(*args: object, **options: object) -> NoReturn:
    """Say what to use instead of FastAPI's function, which makes an endpoint's handler.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("Velithon's routes make their handlers themselves: use Route(...).get_route_handler().")


def request_response(func: Callable[[Request], object]) -> ASGIApp:
    """Make an ASGI application of a handler, to be assigned to `route.app`.

    Args:
        func: `handler(request) -> Response`, with `async def` or without; `route.get_route_handler()` gives one.
    """
    from velithon.faces.serve import build_asgi_app

    async def run_in_thread(request: Request) -> object:
        response = await run_in_threadpool(func, request)
        return await response if inspect.isawaitable(response) else response

    handler = func if is_async_callable(func) else run_in_thread
    app = build_asgi_app(handler)
    # Where it is assigned to `route.app`, these are looked at.
    vars(app).update(__velithon_handler__=handler, __velithon_made_of__=func)
    return app


async def solve_dependencies(*args: object, **options: object) -> object:
    """Make the arguments of an endpoint; called by plans alone, where an instrument wraps it.

    Raises:
        NotImplementedError: Somebody else called it.
    """
    solve = options.get("solve")
    if callable(solve):
        return await solve()
    raise NotImplementedError("Velithon compiles an endpoint's dependencies: use velithon.signature.compile_http().")


async def run_endpoint_function(
    *args: object,
    dependant: Called | None = None,
    values: Mapping[str, object] | None = None,
    is_coroutine: bool = False,
    **options: object,
) -> object:
    """Call an endpoint; called by plans alone, where an instrument wraps it.

    Raises:
        NotImplementedError: Somebody else called it, without the endpoint and its arguments.
    """
    if dependant is not None and values is not None:
        from velithon.di.injection import strip_inject

        # As plans do, whose work it is to give what is injected.
        call = strip_inject(dependant.call)
        if not is_coroutine:
            return await run_in_threadpool(call, **values)
        return await cast("Awaitable[object]", call(**values))
    raise NotImplementedError("Velithon calls an endpoint in its compiled plan: wrap it with get_route_handler().")


def get_websocket_app(*args: object, **options: object) -> NoReturn:
    """Say what to use instead of FastAPI's function of this name.

    FastAPI's makes an ASGI application of a WebSocket's endpoint.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("Velithon's WebSocket routes are ASGI applications: use WebSocketRoute(...).app.")


def websocket_session(*args: object, **options: object) -> NoReturn:
    """Say what to use instead of FastAPI's function of this name.

    FastAPI's makes an ASGI application of a function of a WebSocket.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("Velithon's WebSocket routes are ASGI applications: use WebSocketRoute(...).app.")


async def serialize_response(*args: object, **options: object) -> NoReturn:
    """Say what to use instead of FastAPI's function of this name.

    FastAPI's makes JSON of what an endpoint returned.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        "Velithon compiles a response model with the endpoint: use pydantic.TypeAdapter or Route()."
    )


class _IncludedRouter:
    """FastAPI's placeholder for an included router.

    There are no objects of it here, where the routes themselves are included.
    """
