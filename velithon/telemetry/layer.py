"""The outermost layer of an application that is traced."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from starlette.background import BackgroundTasks as StarletteBackgroundTasks
from starlette.datastructures import Headers

from velithon._compat.opentelemetry import logs
from velithon._compat.starlette import is_async_callable
from velithon.background import ASIDE, BackgroundTasks
from velithon.concurrency import close_iterator, run_in_threadpool
from velithon.exceptions import RequestValidationError, WebSocketRequestValidationError
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.requests.rsgi import RSGIRequest
from velithon.responses.stream import StreamingResponse
from velithon.routing.template import MOUNTS, get_route_template, request_template
from velithon.telemetry.tracer import CURRENT, Traced, has_left

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator
    from contextlib import AbstractContextManager

    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.middleware.errors import ExceptionHandler
    from velithon.requests.request import Request
    from velithon.responses.base import Response
    from velithon.telemetry.tracer import Tracer

C = TypeVar("C")

__all__ = ["TelemetryMiddleware", "end_after", "keep_context", "mark_records", "observe_failure", "observe_validation"]


class TelemetryMiddleware(BaseHTTPMiddleware):
    """Traces requests and WebSockets; `Velithon(telemetry=...)` adds it outside of all others.

    Args:
        app: The next layer.
        telemetry: What to trace with.
    """

    def __init__(self, app: ASGIApp, telemetry: Tracer) -> None:
        super().__init__(app)
        self.telemetry = telemetry
        self.exclude = telemetry.settings.exclude

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Trace a request."""
        if self._is_traced_outside(None if _is_lazy(request) else request.scope):
            return await call_next(request)
        if self.exclude is not None and self.exclude(request.scope):
            # For an application that is mounted inside too.
            otel_context.attach(otel_context.set_value(CURRENT, "excluded"))
            return await call_next(request)
        traced = self.telemetry.begin(request)
        _make_current(traced)
        if isinstance(request, RSGIRequest) and Traced.make_data is not None:
            request.call_at_end(traced.close)
        try:
            response = await call_next(request)
        except BaseException as exc:
            traced.name(request_template(request))
            if isinstance(exc, Exception) and self.telemetry.ends_late:
                traced.fail(exc)
            else:
                traced.end(500 if isinstance(exc, Exception) else None, exc)
            raise
        if not _is_lazy(request):
            for background in request.scope.get(ASIDE, ()):
                self._trace_background(background)
        traced.name(request_template(request))
        if isinstance(response, StreamingResponse):
            response.body_iterator = _trace_stream(response.body_iterator, response, traced)
        else:
            traced.end(response.status_code)
        return response

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Trace a WebSocket, from its handshake to its end."""
        if self._is_traced_outside(scope):
            await self.app(scope, receive, send)
            return
        if self.exclude is not None and self.exclude(scope):
            otel_context.attach(otel_context.set_value(CURRENT, "excluded"))
            await self.app(scope, receive, send)
            return
        traced = self.telemetry.begin_websocket(scope, Headers(scope=scope))
        _make_current(traced)
        try:
            await self.app(scope, receive, send)
        except BaseException as exc:
            traced.name(get_route_template(scope))
            traced.end(error=None if has_left(exc) else exc)
            raise
        traced.name(get_route_template(scope))
        traced.end()

    @staticmethod
    def _is_traced_outside(scope: Scope | None) -> bool:
        """Tell whether another instrumentation, or the application that this one is mounted in, has a span for it."""
        if scope is not None and scope.get(MOUNTS) and otel_context.get_value(CURRENT) is not None:
            return True
        span = trace.get_current_span()
        # A call within a request of ours is a request of its own.
        is_servers = getattr(span, "kind", None) is SpanKind.SERVER and span.is_recording()
        return is_servers and otel_context.get_value(CURRENT) is None

    def _trace_background(self, background: object) -> None:
        if not self.telemetry.has_operations:
            return
        if isinstance(background, BackgroundTasks):
            # Those that other tasks add have a span too.
            background._around = self._build_task_span
            return
        tasks = background.tasks if isinstance(background, StarletteBackgroundTasks) else [background]
        for task in tasks:
            if hasattr(task, "func") and not _is_inner(task.func):
                task.func = self.telemetry.operation("background_task", task.func)

    def _build_task_span(self, task: object) -> AbstractContextManager[None]:
        function = getattr(task, "func", None)
        if function is None or _is_inner(function):
            return nullcontext()
        return self.telemetry.span_of("background_task", function)


def _is_inner(function: object) -> bool:
    """Tell whether a task sends a response: nobody asked for it as work."""
    return str(getattr(function, "__module__", "")).startswith("velithon.faces.")


def _is_lazy(request: Request) -> bool:
    return isinstance(request, RSGIRequest) and request._scope is None


def _make_current(traced: Traced) -> None:
    """Make the span current for everything that follows in this task: the endpoint, a stream, background tasks.

    Nothing detaches it here, as these come after the layer; `keep_context` does, around the whole request.
    """
    context = otel_context.set_value(CURRENT, traced)
    if traced.span is not None:
        context = trace.set_span_in_context(traced.span, context)
    otel_context.attach(context)


async def _trace_stream(chunks: AsyncIterable[C], response: StreamingResponse, traced: Traced) -> AsyncIterator[C]:
    try:
        async for chunk in chunks:
            yield chunk
    except Exception as exc:
        traced.end(response.status_code if response.started else 500, exc)
        raise
    finally:
        traced.end(response.status_code)
        await close_iterator(chunks)


def keep_context(app: ASGIApp) -> ASGIApp:
    """Return an ASGI application that leaves its caller's OpenTelemetry context as it was.

    It forgets its request. An RSGI server runs each request in a task, and so in a context, of its own.
    """

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        outside = otel_context.get_value(CURRENT)
        token = otel_context.attach(otel_context.get_current())
        try:
            await app(scope, receive, send)
        finally:
            traced = otel_context.get_value(CURRENT)
            if traced is not outside and isinstance(traced, Traced):
                traced.close()
            otel_context.detach(token)

    return asgi


def observe_validation(handler: ExceptionHandler) -> ExceptionHandler:
    """Return the handler of refused input with a log event before it."""

    async def observed(request: Any, exc: RequestValidationError | WebSocketRequestValidationError) -> object:
        traced = otel_context.get_value(CURRENT)
        if isinstance(traced, Traced):
            is_http = request.scope["type"] == "http"
            traced.name(request_template(request) if is_http else get_route_template(request.scope))
            data = traced.get_data()
            if data is not None:
                data.errors = list(exc.errors())
                if isinstance(exc, RequestValidationError):
                    data.body = exc.body
            name = f"{traced.telemetry.word}.validation"
            count = {f"{name}.error_count": len(exc.errors())}
            traced.event(f"{name}.failed", logs.SeverityNumber.WARN, "Request validation failed", count)
        return await handler(request, exc)

    return observed


def observe_failure(request: object, exc: Exception) -> None:
    """Note what nobody handled; an error observer of the application."""
    traced = otel_context.get_value(CURRENT)
    if isinstance(traced, Traced) and not has_left(exc):
        traced.fail(exc)


def end_after(handler: ExceptionHandler) -> ExceptionHandler:
    """Return the handler of failures with the end of the span behind it.

    It may add to the span.
    """

    async def answered(request: object, exc: Exception) -> object:
        status = 500
        try:
            response = await (
                handler(request, exc) if is_async_callable(handler) else run_in_threadpool(handler, request, exc)
            )
            status = getattr(response, "status_code", 500)
            return response
        finally:
            traced = otel_context.get_value(CURRENT)
            if isinstance(traced, Traced):
                traced.end(status, exc)

    return answered


def mark_records() -> None:
    """Let log records carry `trace_id` and `span_id`, where there is a trace, from here on."""
    make = logging.getLogRecordFactory()
    if getattr(make, "_velithon_trace", False):
        return

    def record(*args: object, **kwargs: object) -> logging.LogRecord:
        made = make(*args, **kwargs)
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            made.trace_id = trace.format_trace_id(context.trace_id)
            made.span_id = trace.format_span_id(context.span_id)
        return made

    record._velithon_trace = True  # type: ignore[attr-defined]  # a mark on the record, as logging has it
    logging.setLogRecordFactory(record)
