"""Names for the tasks of requests.

With them asyncio's debug mode says which endpoint blocked the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from velithon.application import Velithon
from velithon.middleware.base import BaseHTTPMiddleware

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["TaskNameMiddleware", "name_tasks"]


class TaskNameMiddleware(BaseHTTPMiddleware):
    """Names the task of a request by its method, route and endpoint.

    For example `GET /items/{item_id} (shop.item)`.
    """

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Name the task, before anything can block."""
        method, path = request._get_target()
        _name_task(f"{method} {_describe(request.app, method, path)}")
        return await call_next(request)

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the task."""
        _name_task(f"WebSocket {scope['path']}")
        await self.app(scope, receive, send)


def _name_task(name: str) -> None:
    task = asyncio.current_task()
    if task is not None and hasattr(task, "set_name"):
        task.set_name(name)


def _describe(app: Any, method: str, path: str) -> str:
    """Return the route that will answer, with its endpoint, or the path where the table does not know it by itself."""
    table = app.router.table
    exact = table.exact.get(path)
    answer = table.by_tree(method, path) if exact is None else exact.answers.get(method)
    route = answer[0] if answer else None
    endpoint = getattr(route, "endpoint", None)
    if route is None or endpoint is None:
        return path
    name = getattr(endpoint, "__qualname__", type(endpoint).__qualname__)
    return f"{route.path} ({endpoint.__module__}.{name})"


def name_tasks(app: object) -> None:
    """Name the tasks of an application's requests.

    One of another framework is left as it is.
    """
    if isinstance(app, Velithon) and app.middleware_stack is None:
        app.add_middleware(TaskNameMiddleware)
