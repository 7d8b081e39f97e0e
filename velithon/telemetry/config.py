"""What `Velithon(telemetry=...)` takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider
    from starlette.types import Scope

    from velithon._compat.opentelemetry import logs

__all__ = ["Settings", "TelemetryConfig", "read_config"]


class TelemetryConfig(TypedDict, total=False):
    """The settings, by FastAPI's names; what is left out keeps its default.

    Attributes:
        tracer_provider: Makes the spans; the global provider by default. Likewise `meter_provider` and
            `logger_provider`.
        tracing: Whether requests and WebSockets have spans. Default: yes.
        metrics: Whether `http.server.request.duration` and `http.server.active_requests` are measured. Default: yes.
        logs: Whether refused input and unhandled exceptions are log events. Default: yes.
        operation_spans: Whether endpoints and background tasks have spans of their own. Default: yes.
        auto_configure: Whether exporters for OTLP over HTTP are set up by the variables `OTEL_EXPORTER_OTLP_*`. By
            default where `VELITHON_OTEL_AUTO_CONFIGURE` or `FASTAPI_OTEL_AUTO_CONFIGURE` is `true`.
        exclude: Called with the ASGI scope; `True` leaves the request out.
    """

    tracer_provider: TracerProvider | None
    meter_provider: MeterProvider | None
    logger_provider: logs.LoggerProvider | None
    tracing: bool
    metrics: bool
    logs: bool
    operation_spans: bool
    auto_configure: bool
    exclude: Callable[[Scope], bool] | None


class Settings:
    """The settings with their defaults filled in; see `TelemetryConfig` for each.

    Args:
        config: What was given.

    Raises:
        TypeError: A setting that does not exist.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        unknown = config.keys() - TelemetryConfig.__annotations__.keys()
        if unknown:
            known = ", ".join(sorted(TelemetryConfig.__annotations__))
            raise TypeError(f"telemetry= has no setting {sorted(unknown)[0]!r}; there are {known}.")
        self.tracer_provider: TracerProvider | None = config.get("tracer_provider")
        self.meter_provider: MeterProvider | None = config.get("meter_provider")
        self.logger_provider: logs.LoggerProvider | None = config.get("logger_provider")
        self.tracing: bool = config.get("tracing", True)
        self.metrics: bool = config.get("metrics", True)
        self.logs: bool = config.get("logs", True)
        self.operation_spans: bool = config.get("operation_spans", True)
        self.auto_configure: bool = config.get("auto_configure", _is_asked_by_environment())
        self.exclude: Callable[[Scope], bool] | None = config.get("exclude")


def _is_asked_by_environment() -> bool:
    names = ("VELITHON_OTEL_AUTO_CONFIGURE", "FASTAPI_OTEL_AUTO_CONFIGURE")
    return any(os.environ.get(name, "").strip().lower() in ("1", "true") for name in names)


def read_config(config: object) -> Settings:
    """Return the settings of what an application was given.

    Raises:
        TypeError: It is no mapping, or has a setting that does not exist.
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"telemetry= takes a dictionary of settings or None, not {config!r}.")
    return Settings(config)
