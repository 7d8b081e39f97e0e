"""What the inside needs of the application that it belongs to.

Nothing below `application.py` imports `Velithon`: faces, requests, routes and layers know these protocols instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.routing import Router
    from starlette.types import Receive, Scope, Send

    from velithon.background import InFlight
    from velithon_adapters.asgi import State
    from velithon_adapters.rsgi import Scope as ServerScope

__all__ = ["Owner"]


class ErrorTables(Protocol):
    """Exception handlers as Starlette looks them up.

    Attributes:
        tables: Those by exception class, and those by status code.
    """

    tables: tuple[dict[Any, Any], dict[int, Any]]


class Owner(Protocol):
    """The application of a request, a route or a layer.

    Attributes:
        root_path: The path under which a proxy serves the application, without a slash at its end.
        max_body_size: The largest request body, in bytes; `None` is no limit.
        dependency_overrides: Dependency -> the callable that stands in for it.
    """

    root_path: str
    max_body_size: int | None
    dependency_overrides: dict[Callable[..., Any], Callable[..., Any]]
    _in_flight: InFlight
    _lifespan_state: State

    @property
    def _errors(self) -> ErrorTables:
        """The application's exception handlers."""

    @property
    def router(self) -> Router:
        """The application's router."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer over ASGI."""

    def _run_websocket(self, scope: ServerScope, protocol: object) -> Awaitable[None]:
        """Answer a WebSocket over RSGI."""
