"""What is private of OpenTelemetry, and used here.

It is log events, which its packages still keep under names with `_`.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import _logs as logs
from opentelemetry._logs._internal import ProxyLoggerProvider
from opentelemetry.metrics._internal import _ProxyMeterProvider
from opentelemetry.trace import ProxyTracerProvider

__all__ = ["PRIVATE", "is_deferred", "log_exporter", "logs", "new_logger_provider"]

PRIVATE = {
    "opentelemetry._logs:LogRecord": "is a log event",
    "opentelemetry._logs:SeverityNumber": "is the severity of a log event",
    "opentelemetry._logs:get_logger": "emits log events",
    "opentelemetry._logs:get_logger_provider": "emits log events",
    "opentelemetry._logs:set_logger_provider": "sets up the export of log events by the environment",
    "opentelemetry._logs._internal:ProxyLoggerProvider": "stands for a logger provider that nobody has set",
    "opentelemetry.metrics._internal:_ProxyMeterProvider": "stands for a meter provider that nobody has set",
}
"""Module and name -> what it is used for."""


def is_deferred(provider: object) -> bool:
    """Tell whether a provider stands for one that nobody has set.

    The API has no question for that.
    """
    return type(provider) in (ProxyTracerProvider, _ProxyMeterProvider, ProxyLoggerProvider)


def new_logger_provider() -> Any:
    """Return a provider of the SDK for log events."""
    from opentelemetry.sdk._logs import LoggerProvider

    return LoggerProvider()


def log_exporter(endpoint: str) -> Any:
    """Return what sends log events to `endpoint`, for `LoggerProvider.add_log_record_processor`."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    return BatchLogRecordProcessor(OTLPLogExporter(endpoint=endpoint))
