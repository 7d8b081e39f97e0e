"""Telemetry of an application: what is on is decided once, when its layers are composed."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from starlette.middleware import Middleware

from velithon._compat.opentelemetry import logs
from velithon.concurrency import run_in_threadpool
from velithon.di.injection import strip_inject
from velithon.exceptions import RequestValidationError, WebSocketRequestValidationError
from velithon.telemetry.config import read_config
from velithon.telemetry.layer import (
    TelemetryMiddleware,
    end_after,
    keep_context,
    mark_records,
    observe_failure,
    observe_validation,
)
from velithon.telemetry.tracer import Tracer, note_connection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from velithon.middleware.errors import ExceptionHandler
    from velithon.signature import EndpointModel

__all__ = ["Telemetry", "global_telemetry"]

_FLUSH_MILLISECONDS = 2_000
# Of the layers that make a span for each request, beside which ours would make a second one.
_TRACING = frozenset({"opentelemetry.instrumentation.asgi", "starlette.middleware.opentelemetry"})


class Telemetry:
    """What an application does to be traced.

    Args:
        config: Its settings: see `TelemetryConfig`.

    Attributes:
        active: Whether anything is done; not where OpenTelemetry's own layer, or Starlette's, is in the stack.

    Raises:
        TypeError: A setting that does not exist.
    """

    def __init__(self, config: Mapping[str, object]) -> None:
        self.settings = settings = read_config(config)
        if settings.auto_configure:
            from velithon.telemetry.environment import configure

            configure(settings)
        self.tracer = Tracer(settings)
        self.active = False

    def around(self, app: Any) -> tuple[dict[Any, ExceptionHandler], list[Middleware]]:
        """Return an application's exception handlers and layers, with what traces in them.

        Have it flush at its end.
        """
        handlers, layers = app.exception_handlers, list(app.user_middleware)
        settings = self.settings
        theirs = any(getattr(layer.cls, "__module__", "") in _TRACING for layer in layers)
        self.active = not theirs and (settings.tracing or settings.metrics or settings.logs)
        if not self.active:
            return handlers, layers
        if settings.tracing:
            mark_records()
        refusing = (RequestValidationError, WebSocketRequestValidationError)
        if settings.logs:
            observed = {key: observe_validation(handlers[key]) for key in refusing if key in handlers}
            handlers = {**handlers, **observed}
        if observe_failure not in app.error_observers:
            app.error_observers.append(observe_failure)
        failing = [key for key in (500, Exception) if key in handlers]
        self.tracer.ends_late = bool(failing) and not app.debug
        handlers = {**handlers, **{key: end_after(handlers[key]) for key in failing}}
        if self.flush not in app.router.on_shutdown:
            app.router.on_shutdown.append(self.flush)
        return handlers, [Middleware(TelemetryMiddleware, self.tracer), *layers]

    def keep_context(self, app: ASGIApp) -> ASGIApp:
        """Return an ASGI application that leaves its caller's OpenTelemetry context as it was."""
        return keep_context(app) if self.active else app

    def trace_model(self, model: EndpointModel) -> EndpointModel:
        """Return an endpoint's model, with a span around its call where configured."""
        call = strip_inject(model.call)
        # Pages of the document and frontends are ours: nobody looks for what they spend.
        if not self.active or getattr(call, "__module__", "").startswith("velithon."):
            return model
        model = copy(model)
        model.note = note_connection
        if self.tracer.has_operations:
            model.span_of = partial(self.tracer.span_of, function=call)
        model.call = self.tracer.operation("endpoint", call)
        return model

    async def flush(self) -> None:
        """Export what the SDK still holds before the process ends.

        Servers do not always wait for `atexit`.
        """
        settings = self.settings
        providers = (
            settings.tracer_provider or trace.get_tracer_provider(),
            settings.meter_provider or metrics.get_meter_provider(),
            settings.logger_provider or logs.get_logger_provider(),
        )
        for provider in providers:
            flush = getattr(provider, "force_flush", None)
            if flush is not None:
                await run_in_threadpool(flush, _FLUSH_MILLISECONDS)


def global_telemetry() -> Telemetry | None:
    """Return the telemetry of an application that was given none.

    It exists where a global provider is set by now.
    """
    telemetry = Telemetry({})
    return telemetry if telemetry.tracer.enabled() else None
