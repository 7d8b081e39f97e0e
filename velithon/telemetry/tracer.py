"""The spans, measurements and log events of one application, by the conventions for HTTP servers."""

from __future__ import annotations

import functools
import inspect
import os
from contextlib import contextmanager
from importlib.metadata import version
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, ClassVar, Final, ParamSpec
from urllib.parse import parse_qsl, urlencode, urlsplit

from opentelemetry import context as otel_context
from opentelemetry import metrics, propagate, trace
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.exceptions import HTTPException, WebSocketException
from starlette.websockets import WebSocketDisconnect

from velithon._compat.opentelemetry import is_deferred, logs
from velithon.compat.asked import is_asked_for
from velithon.exceptions import RequestValidationError, WebSocketRequestValidationError
from velithon.requests.rsgi import RSGIRequest
from velithon.telemetry.config import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue
    from starlette.datastructures import Headers
    from starlette.types import Scope

    from velithon.requests.request import Request
    from velithon.telemetry.data import TelemetryData

    Attributes = dict[str, AttributeValue]
    # A host and a port; the path of a UNIX socket has none.
    Address = Sequence[Any]

__all__ = ["CURRENT", "Traced", "Tracer", "has_left", "note_connection"]

P = ParamSpec("P")

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
# Advised by the conventions for `http.server.request.duration`, in seconds.
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
# Signatures and credentials in queries: the conventions have them redacted.
SECRETS: Final = frozenset({"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", "X-Amz-Signature"}) | {
    "X-Amz-Credential",
    "X-Amz-Security-Token",
}
DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# What answers a request rather than failing it.
EXPECTED: Final = (HTTPException, WebSocketException, RequestValidationError, WebSocketRequestValidationError)


CURRENT = otel_context.create_key("velithon.traced")
"""Of an OpenTelemetry context: the request that is traced; anything else says that it is not."""


class _HeaderGetter(Getter["Headers"]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        values = carrier.getlist(key)
        if not values:
            return None
        # The propagator of baggage reads one value; the header may come several times (W3C Baggage 3.3.1).
        return [",".join(values)] if key.lower() == "baggage" else values

    def keys(self, carrier: Headers) -> list[str]:
        return list(carrier.keys())


_getter = _HeaderGetter()


class Traced:
    """A request or WebSocket that is traced: its span and what was measured of it.

    Args:
        telemetry: Whose it is.
        span: Its span; `None` where only metrics or logs are on.
        attributes: What its measurement says of it; grows until its end.
        logger: For log events, where they are on.
        root: The path under which a proxy serves the application.

    Attributes:
        failures: What was raised and not handled, each once.
    """

    __slots__ = (
        "attributes",
        "closed",
        "data",
        "ended",
        "failures",
        "logger",
        "method",
        "root",
        "span",
        "started",
        "telemetry",
    )
    make_data: ClassVar[type[TelemetryData] | None] = None
    """Makes what is noted of a request; set once somebody has imported `get_telemetry_data`."""

    def __init__(
        self,
        telemetry: Tracer,
        span: Span | None,
        method: str,
        attributes: Attributes,
        logger: logs.Logger | None,
        root: str,
    ) -> None:
        self.telemetry = telemetry
        self.span = span
        self.method = method
        self.attributes = attributes
        self.logger = logger
        self.root = root.rstrip("/")
        self.started = perf_counter()
        self.ended = self.closed = False
        self.failures: list[BaseException] = []
        self.data: TelemetryData | None = None

    def name(self, template: str | None) -> None:
        """Name the span by the route's template."""
        if template is not None:
            # With the root of the application, as the conventions have it.
            template = self.root + template
            self.attributes["http.route"] = template
            if self.span is not None:
                self.span.update_name(f"{self.method} {template}")

    def get_data(self) -> TelemetryData | None:
        """Return what is noted of the request.

        `None` once it was closed, and of a WebSocket that has neither span nor log events.
        """
        if self.data is None and not self.closed and self.make_data is not None:
            if self.method != "WS" or self.span is not None or self.logger is not None:
                self.data = self.make_data()
        return self.data

    def close(self) -> None:
        """Forget the request: whoever kept its context finds nothing in it."""
        self.closed = True
        self.data = None
        self.failures.clear()

    def end(self, status: int | None = None, error: BaseException | None = None) -> None:
        """End the span, once.

        Args:
            status: The response's.
            error: What was raised and not handled.
        """
        if error is not None:
            self.fail(error)
        if self.ended:
            return
        self.ended = True
        if error is None and self.failures and (status is None or status >= 500):
            error = self.failures[-1]
        attributes, span = self.attributes, self.span
        if status is not None:
            attributes["http.response.status_code"] = status
        failed = error is not None or (status is not None and status >= 500)
        if failed:
            attributes["error.type"] = str(status) if error is None else _find_type_name(error)
        if span is not None:
            span.set_attributes(attributes)
            if failed:
                span.set_status(StatusCode.ERROR)
            # FastAPI leaves it to the log events.
            if error is not None and self.telemetry.word != "fastapi":
                span.record_exception(error)
        self.telemetry.record_duration(perf_counter() - self.started, attributes)
        if span is not None:
            span.end()

    def fail(self, error: BaseException) -> None:
        """Record an unhandled exception on the span and emit a log event.

        An exception is recorded once, whether it was raised before its answer or after it.
        """
        if any(error is known for known in self.failures):
            return
        self.failures.append(error)
        if isinstance(error, Exception):
            name, what = ("http.server.request", "request")
            if self.method == "WS":
                name, what = (f"{self.telemetry.word}.websocket", "WebSocket connection")
            body = f"Unhandled exception in {self.telemetry.title} {what}"
            self.event(f"{name}.exception", logs.SeverityNumber.ERROR, body, {}, error)

    def event(
        self,
        name: str,
        severity: logs.SeverityNumber,
        body: str,
        attributes: Mapping[str, AttributeValue],
        error: Exception | None = None,
    ) -> None:
        """Emit a log event, with the route where it is known, and what was raised."""
        if self.logger is None:
            return
        route = {"http.route": self.attributes["http.route"]} if "http.route" in self.attributes else {}
        self.logger.emit(
            logs.LogRecord(
                timestamp=time_ns(),
                severity_number=severity,
                severity_text=severity.name,
                body=body,
                event_name=name,
                attributes={**attributes, **route},
                exception=error,
            )
        )


def has_left(error: BaseException) -> bool:
    """Tell whether a client closed its WebSocket in order.

    Over RSGI each such close is 1005 (RFC 6455, 7.1.5).
    """
    return isinstance(error, WebSocketDisconnect) and error.code in (1000, 1001, 1005)


def note_connection(connection: object) -> TelemetryData | None:
    """Return where the plan of an endpoint notes what it has read.

    `None` where nobody asks for it, and where the request is not traced.
    """
    if Traced.make_data is None:
        return None
    traced = otel_context.get_value(CURRENT)
    data = traced.get_data() if isinstance(traced, Traced) else None
    if isinstance(traced, Traced) and data is not None:
        setattr(data, "websocket" if traced.method == "WS" else "request", connection)
    return data


class Tracer:
    """What one application traces with.

    Args:
        settings: Which signals are on, and their providers.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Where `fastapi` means Velithon, dashboards and alerts look for FastAPI's names.
        self.word, self.title = ("fastapi", "FastAPI") if is_asked_for() else ("velithon", "Velithon")
        self.has_operations = settings.tracing and settings.operation_spans
        self._about = (self.word, version("velithon"))
        # Whether a handler of failures ends the span of a request that failed.
        self.ends_late = False
        self._tracers: tuple[object, trace.Tracer | None] = (None, None)
        self._loggers: tuple[object, logs.Logger | None] = (None, None)
        given = os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "")
        self.methods = frozenset(name.strip() for name in given.split(",") if name.strip()) or METHODS
        self._duration: metrics.Histogram | None = None
        self._active: metrics.UpDownCounter | None = None
        if settings.metrics:
            meter = metrics.get_meter(*self._about, settings.meter_provider, SCHEMA_URL)
            self._duration = meter.create_histogram(
                "http.server.request.duration",
                unit="s",
                description="Duration of HTTP server requests.",
                explicit_bucket_boundaries_advisory=BUCKETS,
            )
            self._active = meter.create_up_down_counter(
                "http.server.active_requests", unit="{request}", description="Number of active HTTP server requests."
            )

    @property
    def tracer(self) -> trace.Tracer | None:
        """What makes spans, of the provider that is set now; `None` where tracing is off."""
        if not self.settings.tracing:
            return None
        provider = self.settings.tracer_provider or trace.get_tracer_provider()
        if provider is not self._tracers[0]:
            self._tracers = (provider, provider.get_tracer(*self._about, SCHEMA_URL))
        return self._tracers[1]

    @property
    def logger(self) -> logs.Logger | None:
        """What emits log events, of the provider that is set now.

        `None` where they are off.
        """
        if not self.settings.logs:
            return None
        provider = self.settings.logger_provider or logs.get_logger_provider()
        if provider is not self._loggers[0]:
            self._loggers = (provider, provider.get_logger(*self._about, SCHEMA_URL))
        return self._loggers[1]

    def enabled(self) -> bool:
        """Tell whether any signal that is on has a provider that does something."""
        settings = self.settings
        signals: tuple[tuple[bool, object, Callable[[], object]], ...] = (
            (settings.tracing, settings.tracer_provider, trace.get_tracer_provider),
            (settings.metrics, settings.meter_provider, metrics.get_meter_provider),
            (settings.logs, settings.logger_provider, logs.get_logger_provider),
        )
        return any(on and (given is not None or not is_deferred(get())) for on, given, get in signals)

    def begin(self, request: Request) -> Traced:
        """Begin the span of an HTTP request, below that of its caller.

        The caller of this makes it current.
        """
        method = request.method
        known = method if method in self.methods else "_OTHER"
        attributes: Attributes = {"http.request.method": known, "url.scheme": request._scheme}
        if self._active is not None:
            self._active.add(1, dict(attributes))
        version = request._http_version
        attributes["network.protocol.version"] = version
        span = None
        tracer = self.tracer
        if tracer is not None:
            headers = request.headers
            details: Attributes = {**attributes, "url.path": request._path}
            if known != method:
                details["http.request.method_original"] = method
            host = headers.get("host")
            server = request.scope.get("server") if host is None else None
            details.update(_read_addresses(host, request._scheme, request.client, server))
            if (query := _read_query(request)) != "":
                details["url.query"] = query
            if (agent := headers.get("user-agent")) is not None:
                details["user_agent.original"] = agent
            span = self._start_span(tracer, known if known != "_OTHER" else "HTTP", headers, details)
        shown = known if known != "_OTHER" else "HTTP"
        return Traced(self, span, shown, attributes, self.logger, _read_root(request))

    def begin_websocket(self, scope: Scope, headers: Headers) -> Traced:
        """Begin the span of a WebSocket."""
        scheme = scope.get("scheme", "ws")
        attributes: Attributes = {"url.scheme": scheme, "network.protocol.name": "websocket"}
        span = None
        tracer = self.tracer
        if tracer is not None:
            addresses = _read_addresses(headers.get("host"), scheme, scope.get("client"), scope.get("server"))
            span = self._start_span(tracer, "WS", headers, {**attributes, "url.path": scope["path"], **addresses})
        return Traced(self, span, "WS", attributes, self.logger, scope.get("root_path", ""))

    def _start_span(self, tracer: trace.Tracer, name: str, headers: Headers, attributes: Attributes) -> Span:
        parent = propagate.extract(headers, getter=_getter)
        # Baggage and the caller's span are current as well, for whoever sends them on.
        otel_context.attach(parent)
        return tracer.start_span(name, context=parent, kind=SpanKind.SERVER, attributes=attributes)

    def record_duration(self, seconds: float, attributes: Attributes) -> None:
        """Measure a request that has ended."""
        if "http.request.method" not in attributes:
            return
        if self._duration is not None:
            self._duration.record(seconds, attributes)
        if self._active is not None:
            started = ("http.request.method", "url.scheme")
            self._active.add(-1, {name: attributes[name] for name in started})

    @contextmanager
    def span_of(self, name: str, function: Callable[..., object]) -> Iterator[None]:
        """Have a span of its own around a part of a request's work."""
        tracer = self.tracer
        if tracer is None or not isinstance(otel_context.get_value(CURRENT), Traced):
            yield
            return
        with tracer.start_as_current_span(
            f"{self.word}.{name}",
            attributes={"code.function.name": _find_function_name(function)},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as exc:
                if name == "background_task" or not (isinstance(exc, EXPECTED) or has_left(exc)):
                    span.set_attribute("error.type", _find_type_name(exc))
                    span.set_status(StatusCode.ERROR)
                raise

    def operation(self, name: str, function: Callable[P, Any]) -> Callable[P, Any]:
        """Return a function with a span around each call of it.

        Itself where there are none.
        """
        if not self.has_operations:
            return function
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004

            @functools.wraps(function)
            async def traced_async(*args: P.args, **kwargs: P.kwargs) -> object:
                with self.span_of(name, function):
                    return await function(*args, **kwargs)

            return traced_async

        @functools.wraps(function)
        def traced(*args: P.args, **kwargs: P.kwargs) -> object:
            with self.span_of(name, function):
                return function(*args, **kwargs)

        return traced


def _read_query(request: Request) -> str:
    """Return the query in one form, however it was quoted, with secrets redacted."""
    if isinstance(request, RSGIRequest) and request._scope is None:
        query = request._rsgi.query_string
    else:
        query = request.scope.get("query_string", b"").decode("latin-1")
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, "REDACTED" if name in SECRETS else value) for name, value in pairs])


def _read_root(request: Request) -> str:
    """Return the path under which a proxy serves the application."""
    if isinstance(request, RSGIRequest) and request._scope is None:
        return request._app.root_path
    scope = request.scope
    return str(scope.get("app_root_path", scope.get("root_path", "")))


def _read_addresses(host: str | None, scheme: str, client: Address | None, server: Address | None) -> Attributes:
    """Return the server's address as the client wrote it, or as it listens, and the client's."""
    found: Attributes = {}
    if client is not None:
        found["client.address"] = client[0]
    if host is None:
        address, port = server or (None, None)
    else:
        try:
            url = urlsplit(f"//{host}")
            address, port = url.hostname, url.port
        except ValueError:  # a malformed host is for the application to judge
            return found
        if url.path or url.query or url.username or url.fragment:
            return found
        port = DEFAULT_PORTS.get(scheme) if port is None else port
    if address is not None:
        found["server.address"] = address
        if port is not None:
            found["server.port"] = port
    return found


def _find_type_name(error: BaseException) -> str:
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _find_function_name(function: Callable[..., object]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
