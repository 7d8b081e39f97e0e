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

Exemplar = dict[str, str] | None


class Tally:
    """Observations of one histogram that have not been written yet.

    Args:
        bounds: The buckets' upper bounds; one more bucket has none.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def write(self, child: Any) -> None:
        """Write what was counted to prometheus-client's histogram, and begin anew."""
        counts, total = self.counts, self.total
        self.counts, self.total = [0] * len(counts), 0.0
        if any(counts):
            add_observations(child, counts, total)


class Cell:
    """Requests of one method, route and status since the last look."""

    __slots__ = ("counter", "durations", "histograms", "requests", "sizes", "uploads")

    def __init__(self, series: Series, method: str, route: str, status: int) -> None:
        self.requests = 0
        self.durations = Tally(series.duration_buckets)
        self.sizes = Tally(series.size_buckets)
        self.uploads = Tally(series.size_buckets)
        self.counter = series.requests.labels(method, route, str(status))
        self.histograms = [
            (tally, histogram.labels(method, route))
            for tally, histogram in (
                (self.durations, series.durations),
                (self.sizes, series.response_sizes),
                (self.uploads, series.request_sizes),
            )
        ]

    def observe(self, seconds: float, exemplar: Exemplar) -> None:
        """Count a request; one with an exemplar is written at once."""
        if exemplar is None:
            self.requests += 1
            self.durations.add(seconds)
        else:
            self.counter.inc(1, exemplar)
            self.histograms[0][1].observe(seconds, exemplar)

    def write(self) -> None:
        """Write what was counted, and begin anew."""
        requests, self.requests = self.requests, 0
        if requests:
            self.counter.inc(requests)
        for tally, child in self.histograms:
            tally.write(child)


class Series:
    """The metrics of a registry: one set a registry and namespace, shared by the applications of a process.

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
