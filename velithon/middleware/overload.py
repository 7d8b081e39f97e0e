"""Limits for when there is too much: requests in flight, and time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from velithon.concurrency import close_iterator
from velithon.exceptions import HTTPException
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.base import PlainTextResponse
from velithon.responses.stream import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["ConcurrencyLimitMiddleware", "TimeoutMiddleware"]

C = TypeVar("C")

logger = logging.getLogger("velithon.middleware.overload")

# RFC 6455 7.4.1: the server stops what goes on for too long.
_GOING_AWAY = 1001
_TRY_AGAIN_LATER = 1013


class ConcurrencyLimitMiddleware(BaseHTTPMiddleware):
    """Answers 503 with `Retry-After` beyond so many requests in flight; a WebSocket is refused.

    A stream is in flight until its end, a WebSocket as long as it is open.

    Args:
        app: The next layer.
        max_requests: Requests that are answered at once, in each worker.
        max_websockets: WebSockets that are open at once; `None` does not count them.
        retry_after: Seconds after which a client may try again.
        exclude_paths: Paths that are always answered, such as those of health checks.

    Raises:
        ValueError: A number is below 1.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_requests: int,
        max_websockets: int | None = None,
        retry_after: int = 1,
        exclude_paths: Collection[str] = (),
    ) -> None:
        for name, value in (("max_requests", max_requests), ("max_websockets", max_websockets)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value!r}.")
        super().__init__(app)
        self.max_requests = max_requests
        self.max_websockets = max_websockets
        self.exclude_paths = frozenset(exclude_paths)
        self.headers = {"retry-after": str(retry_after)}
        self.requests = 0
        self.websockets = 0
        self._refusing = False

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Answer, or refuse."""
        if request._path in self.exclude_paths:
            return await call_next(request)
        if self.requests >= self.max_requests:
            self._log_refusals(True)
            return PlainTextResponse("Service Unavailable", status_code=503, headers=self.headers)
        self.requests += 1
        try:
            response = await call_next(request)
            if isinstance(response, StreamingResponse):
                response.body_iterator = self._count_stream(response.body_iterator)
                # The stream counts from here on.
                self.requests += 1
            return response
        finally:
            self.requests -= 1
            self._log_refusals(False)

    async def _count_stream(self, chunks: AsyncIterable[C]) -> AsyncIterator[C]:
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            self.requests -= 1
            await close_iterator(chunks)

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept a WebSocket, or refuse its handshake.

        The client sees a 403, or the close code 1013 where the server can send that.
        """
        if self.max_websockets is None or scope["path"] in self.exclude_paths:
            await self.app(scope, receive, send)
            return
        if self.websockets >= self.max_websockets:
            await receive()
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER, "reason": "Try again later"})
            return
        self.websockets += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.websockets -= 1

    def _log_refusals(self, refusing: bool) -> None:
        """Log once that requests are refused, and not again before one was answered with room to spare."""
        if refusing and not self._refusing:
            logger.warning("Refusing requests: %d are in flight", self.requests)
            self._refusing = True
        elif self._refusing and self.requests < self.max_requests // 2:
            self._refusing = False


class TimeoutMiddleware(BaseHTTPMiddleware):
    """Limits how long a request, its body and a silent WebSocket may take.

    A request that takes too long is answered with 504, a body with 408; a silent WebSocket is closed with 1001.

    What takes too long is cancelled: the endpoint, with its dependencies' exits. A thread cannot be; its outcome is
    dropped. Background tasks and streams have no limit here, as their response is on its way.

    Args:
        app: The next layer.
        request: Seconds until a response must have been made; `None` for no limit.
        body: Seconds within which each part of a body must arrive.
        websocket: Seconds after which a WebSocket is closed whose client sent nothing.
        exclude_paths: Paths without limits.

    Raises:
        ValueError: A number is not above 0, or there is none.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        request: float | None = None,
        body: float | None = None,
        websocket: float | None = None,
        exclude_paths: Collection[str] = (),
    ) -> None:
        limits = {"request": request, "body": body, "websocket": websocket}
        for name, value in limits.items():
            if value is not None and value <= 0:
                raise ValueError(f"{name} is a number of seconds above 0, not {value!r}.")
        if not any(limits.values()):
            raise ValueError("TimeoutMiddleware needs a limit: request=, body= or websocket=.")
        super().__init__(app)
        self.request = request
        self.body = body
        self.websocket = websocket
        self.exclude_paths = frozenset(exclude_paths)

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Answer within the limits."""
        if request._path in self.exclude_paths:
            return await call_next(request)
        if self.body is not None and _has_body(request):
            self._limit_receive(request)
        if self.request is None:
            return await call_next(request)
        limit = asyncio.timeout(self.request)
        try:
            async with limit:
                return await call_next(request)
        except TimeoutError:
            if not limit.expired():
                raise
        logger.warning("%s %s took over %s s and was cancelled", request.method, _format_path(request), self.request)
        return PlainTextResponse("Gateway Timeout", status_code=504)

    def _limit_receive(self, request: Request) -> None:
        receive: Any = _PatientReceive(request.receive, self.body)
        if isinstance(request, RSGIRequest):
            request._is_unread = False
            request._asgi_receive = receive
        else:
            request._receive = receive

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close a WebSocket whose client is silent for too long."""
        seconds = self.websocket
        if seconds is None or scope["path"] in self.exclude_paths:
            await self.app(scope, receive, send)
            return
        connected = False

        async def limited() -> Message:
            nonlocal connected
            if not connected:
                connected = True
                return await receive()
            limit = asyncio.timeout(seconds)
            try:
                async with limit:
                    return await receive()
            except TimeoutError:
                if not limit.expired():
                    raise
            logger.info("A WebSocket at %s was silent for %s s and is closed", ascii(scope["path"]), seconds)
            await send({"type": "websocket.close", "code": _GOING_AWAY, "reason": "Silent for too long"})
            return {"type": "websocket.disconnect", "code": _GOING_AWAY, "reason": "Silent for too long"}

        await self.app(scope, limited, send)


class _PatientReceive:
    """A receive callable that raises when a part of the body does not arrive in time."""

    def __init__(self, inner: Receive, seconds: float | None) -> None:
        self.inner = inner
        self.seconds = seconds
        self.more = True

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            HTTPException: 408, when it is a part of the body and does not come in time.
        """
        limit = asyncio.timeout(self.seconds if self.more else None)
        try:
            async with limit:
                message = await self.inner()
        except TimeoutError:
            if not limit.expired():
                raise
            raise HTTPException(408, "Request Timeout", headers={"connection": "close"}) from None
        self.more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


def _has_body(request: Request) -> bool:
    """Tell whether a body may come."""
    length = request._header("content-length")
    return length != "0" if length is not None else request.method not in ("GET", "HEAD", "OPTIONS", "DELETE")


def _format_path(request: Request) -> str:
    return ascii(request._path)[1:-1]
