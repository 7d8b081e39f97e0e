"""How long the application took, told to the client."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from velithon.middleware.base import BaseHTTPMiddleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["TimingMiddleware"]


class TimingMiddleware(BaseHTTPMiddleware):
    """Adds `Server-Timing: app;dur=1.234` (milliseconds until the response was made), which browsers show.

    Args:
        app: The next layer.
        name: The metric's name: a token of RFC 9110.
    """

    def __init__(self, app: ASGIApp, *, name: str = "app") -> None:
        super().__init__(app)
        self.name = name

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Take the time."""
        start = perf_counter()
        response = await call_next(request)
        response.append_header("server-timing", f"{self.name};dur={(perf_counter() - start) * 1000:.3f}")
        return response
