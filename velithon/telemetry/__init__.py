"""Traces, metrics and log events by OpenTelemetry's API: `Velithon(telemetry=...)`, as FastAPI takes it.

Needs `pip install "velithon[telemetry]"`; where spans go is for OpenTelemetry's SDK or another implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    import opentelemetry.trace as _trace
except ImportError as exc:
    raise ImportError('Velithon(telemetry=...) needs opentelemetry-api: pip install "velithon[telemetry]"') from exc

from velithon._runtime.lazy import lazy_attributes
from velithon.telemetry.config import TelemetryConfig
from velithon.telemetry.install import Telemetry, global_telemetry

if TYPE_CHECKING:
    from velithon.telemetry.data import TelemetryData, get_telemetry_data

__all__ = [
    "Telemetry",
    "TelemetryConfig",
    "TelemetryData",
    "get_telemetry_data",
    "get_trace_id",
    "global_telemetry",
]

if not TYPE_CHECKING:
    # Whoever asks for these has requests noted.
    __getattr__, __dir__ = lazy_attributes(
        __name__, {"TelemetryData": "velithon.telemetry.data", "get_telemetry_data": "velithon.telemetry.data"}
    )


def get_trace_id() -> str | None:
    """Return the identifier of the current trace, 32 hexadecimal digits, or `None` outside of one."""
    context = _trace.get_current_span().get_span_context()
    return _trace.format_trace_id(context.trace_id) if context.is_valid else None
