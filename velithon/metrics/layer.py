"""The layer that counts requests and WebSockets."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from velithon.concurrency import close_iterator
from velithon.metrics.series import METHODS, UNMATCHED, Cell
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.base import HTMLResponse, PlainTextResponse, Response
from velithon.responses.file import FileResponse
from velithon.responses.json import JSONResponse
from velithon.responses.stream import StreamingResponse
from velithon.routing.template import get_route_template, request_template

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from velithon.metrics.install import Metrics
    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request

__all__ = ["MetricsMiddleware"]

C = TypeVar("C", bound="str | bytes | memoryview")

# Responses whose body is there as a whole: most are one of these.
_WHOLE = frozenset({JSONResponse, Response, PlainTextResponse, HTMLResponse})
# Observations that are kept where nobody looks at them, as without a lifespan.
_MANY = 4_096
# What nginx calls a request whose client left before it was answered.
_CLIENT_GONE = 499


class MetricsMiddleware(BaseHTTPMiddleware):
    """Measures requests by method and route template, and WebSockets by route.

    Of requests it counts durations and sizes, of WebSockets connections and messages.

    `Metrics.install` adds it. Add it yourself, last, where it is to stand elsewhere among the layers.

    Args:
        app: The next layer.
        metrics: Where to count.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        super().__init__(app)
        self.metrics = metrics
        self.series = metrics.series
        self.exclude_paths = metrics.exclude_paths
        self.cells = metrics.cells
        self.by_route: dict[tuple[object, int, str], Cell] = {}

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Count a request."""
        metrics = self.metrics
        metrics.in_flight += 1
        start = perf_counter()
        try:
            response = await call_next(request)
        except BaseException as exc:
            metrics.in_flight -= 1
            status = _CLIENT_GONE if isinstance(exc, asyncio.CancelledError) else 500
            self._find_cell(request, status).observe(perf_counter() - start, metrics.exemplar())
            raise
        if isinstance(response, StreamingResponse):
            response.body_iterator = self._measure_stream(response.body_iterator, request, response, start)
            return response
        metrics.in_flight -= 1
        if type(request) is RSGIRequest and request._scope is None:
            # A route's object is found faster than its template, which a mount would have a part of.
            cell = self.by_route.get((request._route, response.status_code, request._rsgi.method))
            if cell is None:
                cell = self._find_cell(request, response.status_code)
                self.by_route[request._route, response.status_code, cell.method] = cell
        else:
            cell = self._find_cell(request, response.status_code)
        if cell.takes_body:
            _observe_upload(cell, request)
        if metrics.exemplars:
            cell.observe(perf_counter() - start, metrics.exemplar())
        else:
            cell.seconds.append(perf_counter() - start)
        if type(response) in _WHOLE or not isinstance(response, FileResponse):
            cell.bytes.append(len(response.body))
        if len(cell.bytes) > _MANY:
            cell.write()
        return response

    def _find_cell(self, request: Request, status: int) -> Cell:
        method = request.method
        if method not in METHODS:
            # A client may send any, so those that nobody knows are one.
            method = "other"
        template = request_template(request)
        key = (method, template, status)
        cell = self.cells.get(key)
        if cell is None:
            route = UNMATCHED if template is None else template
            cell = self.cells[key] = Cell(
                self.series, method, route, status, counted=template not in self.exclude_paths
            )
        return cell

    async def _measure_stream(
        self, chunks: AsyncIterable[C], request: Request, response: StreamingResponse, start: float
    ) -> AsyncIterator[C]:
        size = 0
        status = response.status_code
        try:
            async for chunk in chunks:
                size += len(chunk)
                yield chunk
        except Exception:
            if not response.started:
                status = 500
            raise
        finally:
            self.metrics.in_flight -= 1
            cell = self._find_cell(request, status)
            if cell.takes_body:
                _observe_upload(cell, request)
            cell.observe(perf_counter() - start, self.metrics.exemplar())
            cell.bytes.append(size)
            await close_iterator(chunks)

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a WebSocket and its messages."""
        if scope["path"] in self.exclude_paths:
            await self.app(scope, receive, send)
            return
        connection = _Connection(self.metrics, scope)

        async def counted_receive() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                connection.received += 1
            return message

        async def counted_send(message: Message) -> None:
            await send(message)
            if message["type"] == "websocket.send":
                connection.sent += 1
            elif message["type"] == "websocket.accept":
                connection.open()

        self.metrics.connections.add(connection)
        try:
            await self.app(scope, counted_receive, counted_send)
        finally:
            self.metrics.connections.discard(connection)
            connection.close()


def _observe_upload(cell: Cell, request: Request) -> None:
    length = request._header("content-length")
    if length is not None and length.isdecimal():
        cell.uploads.append(int(length))


class _Connection:
    """A WebSocket: what was counted since the last look, and its labels once a route took it."""

    __slots__ = ("accepted", "metrics", "received", "route", "scope", "sent")

    def __init__(self, metrics: Metrics, scope: Scope) -> None:
        self.metrics = metrics
        self.scope = scope
        self.route = UNMATCHED
        self.accepted = False
        self.received = 0
        self.sent = 0

    def open(self) -> None:
        """Count it among those that are open."""
        self.route = get_route_template(self.scope) or UNMATCHED
        self.accepted = True
        self.metrics.series.websockets.labels(self.route).inc()
        self.metrics.series.websocket_connections.labels(self.route, "accepted").inc()

    def close(self) -> None:
        """Count it no longer."""
        self.write()
        if self.accepted:
            self.metrics.series.websockets.labels(self.route).dec()
        else:
            route = get_route_template(self.scope) or UNMATCHED
            self.metrics.series.websocket_connections.labels(route, "refused").inc()

    def write(self) -> None:
        """Write what was counted, and begin anew."""
        for direction, count in (("received", self.received), ("sent", self.sent)):
            if count:
                self.metrics.series.websocket_messages.labels(self.route, direction).inc(count)
        self.received = self.sent = 0
