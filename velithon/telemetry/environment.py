"""Exporters by the environment: OTLP over HTTP, for the signals whose endpoint is set."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import metrics, trace

from velithon._compat.opentelemetry import is_deferred, log_exporter, logs, new_logger_provider

if TYPE_CHECKING:
    from velithon.telemetry.config import Settings

__all__ = ["configure"]

logger = logging.getLogger("velithon.telemetry")

_lock = threading.Lock()
# What has an exporter of ours already: applications of one process share global providers.
_configured: list[object] = []


def configure(settings: Settings) -> None:
    """Give providers an exporter, and set global ones where there are none.

    What is wrong is logged; nothing fails.

    Args:
        settings: Of the application.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    with _lock:
        for signal, on, given in (
            ("TRACES", settings.tracing, settings.tracer_provider),
            ("METRICS", settings.metrics, settings.meter_provider),
            ("LOGS", settings.logs, settings.logger_provider),
        ):
            try:
                endpoint = _find_endpoint(signal) if on else None
                if endpoint is not None:
                    _export(signal, given, endpoint)
            except ImportError:
                logger.warning(
                    "Exporters need the SDK: pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
                )
                return
            except (ValueError, AttributeError) as exc:
                logger.warning("No exporter for OTEL_EXPORTER_OTLP_%s_ENDPOINT: %s", signal, exc)


def _find_endpoint(signal: str) -> str | None:
    exporter = os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() or "otlp"
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    endpoint = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or (
        base and f"{base.rstrip('/')}/v1/{signal.lower()}"
    )
    if not endpoint or exporter == "none":
        return None
    if exporter != "otlp":
        raise ValueError(f"OTEL_{signal}_EXPORTER is otlp or none, not {exporter!r}; set up others in the application.")
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        raise ValueError(f"The protocol is http/protobuf, not {protocol!r}; set up others in the application.")
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"It is an absolute URL of http or https, not {endpoint!r}")
    return endpoint


def _export(signal: str, given: object, endpoint: str) -> None:
    """Add an exporter to a provider, once."""
    if signal == "TRACES":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        if given is None and is_deferred(trace.get_tracer_provider()):
            trace.set_tracer_provider(TracerProvider())
        provider: Any = given or trace.get_tracer_provider()
        if provider not in _configured:
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    elif signal == "METRICS":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        provider = given or metrics.get_meter_provider()
        if provider not in _configured:
            reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint))
            if given is None and is_deferred(provider):
                metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
                provider = metrics.get_meter_provider()
            else:
                provider.add_metric_reader(reader)
    else:
        if given is None and is_deferred(logs.get_logger_provider()):
            logs.set_logger_provider(new_logger_provider())
        provider = given or logs.get_logger_provider()
        if provider not in _configured:
            provider.add_log_record_processor(log_exporter(endpoint))
    if provider not in _configured:
        _configured.append(provider)
