"""A bound on the size of request bodies, for everything inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.middleware.body_limit import RequestBodyLimitMiddleware as StarletteBodyLimitMiddleware

from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests.request import LimitedReceive
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.base import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["MAX_BODY_SIZE_SCOPE_KEY", "BodyLimitMiddleware", "RequestBodyLimitMiddleware"]


class BodyLimitMiddleware(BaseHTTPMiddleware):
    """Answers 413 to a request body that is too large.

    A `Content-Length` over the limit is refused at once, a body without one as soon as it grows over the limit.

    Args:
        app: The next layer.
        max_body_size: In bytes.

    Raises:
        ValueError: The size is negative.
    """

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        if max_body_size < 0:
            raise ValueError(f"max_body_size must be at least 0, not {max_body_size}.")
        super().__init__(app)
        self.max_body_size = max_body_size
        self._run_as_asgi = StarletteBodyLimitMiddleware(app, max_body_size)

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Let a request through whose body is announced to fit; watch one that says nothing."""
        headers = request.headers
        announced = headers.get("content-length")
        if announced is None:
            if "transfer-encoding" in headers or not request._http_version.startswith("1"):
                self._limit_body(request)
        elif not announced.isdecimal() or int(announced) > self.max_body_size:
            return PlainTextResponse("Content Too Large", status_code=413)
        return await call_next(request)

    def _limit_body(self, request: Request) -> None:
        receive: Any = LimitedReceive(request.receive, self.max_body_size)
        if isinstance(request, RSGIRequest):
            request._asgi_receive = receive
        else:
            request._receive = receive


RequestBodyLimitMiddleware = BodyLimitMiddleware
