"""FastAPI's middleware that keeps an exit stack for each request.

It is here for packages that add it to an application.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["AsyncExitStackMiddleware"]


class AsyncExitStackMiddleware:
    """Keeps an `AsyncExitStack` in the scope, which is closed when what is inside has answered.

    Velithon's own dependencies and files are closed without it.

    Args:
        app: The next layer.
        context_name: The key in the scope.
    """

    def __init__(self, app: ASGIApp, context_name: str = "fastapi_middleware_astack") -> None:
        self.app = app
        self.context_name = context_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run what is inside with a new stack in the scope."""
        async with AsyncExitStack() as stack:
            scope[self.context_name] = stack
            await self.app(scope, receive, send)
