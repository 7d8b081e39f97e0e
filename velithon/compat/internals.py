"""Names of FastAPI's internals that packages import or replace: there to be found, and called by nobody."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "get_request_handler",
    "get_websocket_app",
    "request_response",
    "run_endpoint_function",
    "serialize_response",
    "solve_dependencies",
    "websocket_session",
]


def get_request_handler(*args: Any, **options: Any) -> NoReturn:
    """Say what to use instead of FastAPI's function, which makes an endpoint's handler.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("Velithon's routes make their handlers themselves: use Route(...).get_route_handler().")


def request_response(*args: Any, **options: Any) -> NoReturn:
    """Say what to use instead of FastAPI's function, which makes an ASGI application of a handler.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("Velithon's routes are ASGI applications: use Route(...).app.")


async def solve_dependencies(*args: Any, **options: Any) -> NoReturn:
    """Say what to use instead of FastAPI's function, which makes the arguments of an endpoint.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("Velithon compiles an endpoint's dependencies: use velithon.signature.compile_http().")


async def run_endpoint_function(*args: Any, **options: Any) -> NoReturn:
    """Say what to use instead of FastAPI's function, which calls an endpoint.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("Velithon calls an endpoint in its compiled plan: wrap it with get_route_handler().")


def get_websocket_app(*args: Any, **options: Any) -> NoReturn:
    """Say what to use instead of FastAPI's function, which makes an ASGI application of a WebSocket's endpoint.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("Velithon's WebSocket routes are ASGI applications: use WebSocketRoute(...).app.")


def websocket_session(*args: Any, **options: Any) -> NoReturn:
    """Say what to use instead of FastAPI's function, which makes an ASGI application of a function of a WebSocket.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("Velithon's WebSocket routes are ASGI applications: use WebSocketRoute(...).app.")


async def serialize_response(*args: Any, **options: Any) -> NoReturn:
    """Say what to use instead of FastAPI's function, which makes JSON of what an endpoint returned.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        "Velithon compiles a response model with the endpoint: use pydantic.TypeAdapter or Route()."
    )
