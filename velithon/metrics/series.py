"""The series, and what is counted between two looks at them.

A request adds to plain integers in a `Cell`, which costs a tenth of what prometheus-client's own objects cost under
their locks and, with several workers, in their files. The cells are emptied into these objects once in a while, and
whenever somebody scrapes.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from prometheus_client import Counter, Gauge, Histogram

from velithon._compat.prometheus import add_observations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

__all__ = ["DURATION_BUCKETS", "SIZE_BUCKETS", "UNMATCHED", "Cell", "Series"]

# What OpenTelemetry's conventions advise for `http.server.request.duration`, in seconds.
DURATION_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
SIZE_BUCKETS: Final = (100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0, 10_000_000.0, 100_000_000.0)
LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

UNMATCHED: Final = "unmatched"
"""The label `route` of requests that no route answered."""

METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})

BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

Exemplar = dict[str, str] | None


class Cell:
    """Requests of one method, route and status since the last look.

    Args:
        series: Where they are written.
        method: Their method.
        route: Their route's template.
        status: Of their responses.
        counted: Whether they are written at all.

    Attributes:
        seconds: How long each took.
        bytes: The size of each response's body.
        uploads: The declared size of each request's body.
        takes_body: Whether such requests have one.
    """

    __slots__ = ("bytes", "counter", "histograms", "method", "seconds", "takes_body", "uploads")

    def __init__(self, series: Series, method: str, route: str, status: int, *, counted: bool) -> None:
        self.method = method
        self.takes_body = method not in BODILESS
        self.seconds: list[float] = []
        self.bytes: list[int] = []
        self.uploads: list[int] = []
        self.counter: Any = None
        self.histograms: list[tuple[list[Any], Sequence[float], Any]] = []
        if counted:
            self.counter = series.requests.labels(method, route, str(status))
            self.histograms = [
                (self.seconds, series.duration_buckets, series.durations.labels(method, route)),
                (self.bytes, series.size_buckets, series.response_sizes.labels(method, route)),
            ]
            if self.takes_body:
                uploads = series.request_sizes.labels(method, route)
                self.histograms.append((self.uploads, series.size_buckets, uploads))

    def observe(self, seconds: float, exemplar: Exemplar) -> None:
        """Count a request; one with an exemplar is written at once."""
        if exemplar is None or self.counter is None:
            self.seconds.append(seconds)
        else:
            self.counter.inc(1, exemplar)
            self.histograms[0][2].observe(seconds, exemplar)

    def write(self) -> None:
        """Write what was counted, and begin anew."""
        if self.seconds and self.counter is not None:
            self.counter.inc(len(self.seconds))
        for values, bounds, histogram in self.histograms:
            if values:
                counts = [0] * (len(bounds) + 1)
                for value in values:
                    counts[bisect_left(bounds, value)] += 1
                add_observations(histogram, counts, sum(values))
        for kept in (self.seconds, self.bytes, self.uploads):
            kept.clear()


class Series:
    """The metrics of one registry and namespace.

    The applications of a process share them.

    Args:
        registry: Where they are registered.
        namespace: Stands before every name; empty for none.
        duration_buckets: Upper bounds, in seconds.
        size_buckets: Upper bounds, in bytes.
    """

    _known: WeakKeyDictionary[CollectorRegistry, dict[str, Series]] = WeakKeyDictionary()

    def __init__(
        self,
        registry: CollectorRegistry,
        namespace: str,
        duration_buckets: tuple[float, ...],
        size_buckets: tuple[float, ...],
    ) -> None:
        self.duration_buckets = duration_buckets
        self.size_buckets = size_buckets
        shared: dict[str, Any] = {"registry": registry, "namespace": namespace}
        live: dict[str, Any] = {**shared, "multiprocess_mode": "livesum"}
        by_route = ["method", "route"]
        self.requests = Counter("http_requests", "HTTP requests answered.", [*by_route, "status"], **shared)
        self.durations = Histogram(
            "http_request_duration_seconds",
            "Time until the response was made; of a stream, until its end.",
            by_route,
            buckets=duration_buckets,
            **shared,
        )
        self.request_sizes = Histogram(
            "http_request_size_bytes", "Declared sizes of request bodies.", by_route, buckets=size_buckets, **shared
        )
        self.response_sizes = Histogram(
            "http_response_size_bytes", "Sizes of response bodies.", by_route, buckets=size_buckets, **shared
        )
        self.in_flight = Gauge("http_requests_in_flight", "HTTP requests that are being answered.", **live)
        self.websockets = Gauge("websockets_open", "WebSockets that are open.", ["route"], **live)
        self.websocket_connections = Counter(
            "websocket_connections", "WebSocket handshakes accepted or refused.", ["route", "outcome"], **shared
        )
        self.websocket_messages = Counter("websocket_messages", "WebSocket messages.", ["route", "direction"], **shared)
        self.tasks_running = Gauge("background_tasks_running", "Background tasks that run.", **live)
        self.tasks_queued = Gauge("background_tasks_queued", "Background tasks that wait for others.", **live)
        self.tasks_failed = Counter("background_tasks_failed", "Background tasks that raised.", **shared)
        self.jobs = Counter("jobs", "What happened to jobs in this process.", ["job", "event"], **shared)
        self.job_durations = Histogram(
            "job_duration_seconds", "Time that one attempt at a job took.", ["job"], buckets=duration_buckets, **shared
        )
        self.job_waits = Histogram(
            "job_wait_seconds",
            "Time from when a job was due to its begin.",
            ["job"],
            buckets=duration_buckets,
            **shared,
        )
        self.threads_in_use = Gauge("thread_pool_threads_in_use", "Threads that run synchronous code.", **live)
        self.threads_waiting = Gauge("thread_pool_calls_waiting", "Calls that wait for a thread.", **live)
        self.loop_lag = Histogram(
            "event_loop_lag_seconds", "How late the event loop runs a timer.", buckets=LAG_BUCKETS, **shared
        )

    @classmethod
    def of(
        cls,
        registry: CollectorRegistry,
        namespace: str,
        duration_buckets: tuple[float, ...],
        size_buckets: tuple[float, ...],
    ) -> Series:
        """Return the series of a registry and namespace, made when they are first asked for.

        Raises:
            ValueError: They exist with other buckets.
        """
        known = cls._known.setdefault(registry, {})
        series = known.get(namespace)
        if series is None:
            series = known[namespace] = cls(registry, namespace, duration_buckets, size_buckets)
        elif (series.duration_buckets, series.size_buckets) != (duration_buckets, size_buckets):
            raise ValueError(
                "Two Metrics of one registry and namespace have different buckets: give one of them a registry or a "
                "namespace of its own."
            )
        return series
