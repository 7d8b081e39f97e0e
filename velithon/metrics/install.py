"""Metrics of an application: the layer, the endpoint and the polled gauges."""

from __future__ import annotations

import asyncio
import glob
import os
import sys
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder

from velithon._runtime.processes import is_alive
from velithon.background import failure_observers
from velithon.concurrency import current_thread_pool, run_in_threadpool
from velithon.metrics.layer import MetricsMiddleware
from velithon.metrics.series import DURATION_BUCKETS, SIZE_BUCKETS, Series
from velithon.requests.request import Request
from velithon.responses.base import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from velithon.application import Velithon
    from velithon.jobs import JobEvent
    from velithon.metrics.layer import _Connection
    from velithon.metrics.series import Cell

__all__ = ["Metrics"]

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """What Prometheus is told of an application.

    Args:
        buckets: Upper bounds of the durations' histogram, in seconds.
        size_buckets: Upper bounds of the sizes' histograms, in bytes.
        exclude_paths: Routes, by their templates, that are not counted. The endpoint's own is not.
        registry: Where the metrics are registered; prometheus-client's own by default, where an application's other
            metrics are, too. With several workers every metric of the process is served, whatever its registry.
        namespace: Stands before every name, with an underscore.
        interval: Seconds between two looks at the event loop, threads and tasks. With several workers, also how late a
            number may be that another worker serves.

    Raises:
        ValueError: Buckets do not grow, or the registry has these metrics with others.
    """

    def __init__(
        self,
        *,
        buckets: Sequence[float] = DURATION_BUCKETS,
        size_buckets: Sequence[float] = SIZE_BUCKETS,
        exclude_paths: Collection[str] = (),
        registry: CollectorRegistry | None = None,
        namespace: str = "",
        interval: float = 0.5,
    ) -> None:
        for name, bounds in (("buckets", buckets), ("size_buckets", size_buckets)):
            if not bounds or list(bounds) != sorted(set(bounds)):
                raise ValueError(f"{name} are upper bounds that grow, at least one, not {bounds!r}.")
        if interval <= 0:
            raise ValueError(f"interval is a number of seconds above 0, not {interval!r}.")
        self.registry = REGISTRY if registry is None else registry
        self.series = Series.of(self.registry, namespace, _clip_infinite(buckets), _clip_infinite(size_buckets))
        self.namespace = namespace
        self.exclude_paths = set(exclude_paths)
        self.interval = interval
        self.cells: dict[tuple[str, str | None, int], Cell] = {}
        self.connections: set[_Connection] = set()
        self.in_flight = 0
        self._written = 0
        self.exemplars = False
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []
        self._app: Velithon | None = None
        self._timer: asyncio.TimerHandle | None = None

    def install(self, app: Velithon, path: str | None = "/metrics", *, include_in_schema: bool = False) -> None:
        """Add the layer, outside of those that are there, and the endpoint.

        Args:
            app: The application.
            path: Of the endpoint; `None` adds none, for an application that serves it elsewhere with `endpoint`.
            include_in_schema: Whether the OpenAPI document has it.

        Raises:
            RuntimeError: The application has started, or these metrics are another application's.
        """
        if self._app is not None:
            raise RuntimeError("These Metrics are installed already: each application has its own.")
        self._app = app
        app.add_middleware(MetricsMiddleware, self)
        if path is not None:
            self.exclude_paths.add(path)
            app.add_api_route(path, self.endpoint, include_in_schema=include_in_schema, response_class=Response)
        app.router.on_startup.append(self.start)
        app.router.on_shutdown.append(self.stop)

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Add a number that is read at each look: `metrics.gauge("jobs_queued", "Jobs that wait.", queue.qsize)`."""
        gauge = Gauge(
            name, documentation, registry=self.registry, namespace=self.namespace, multiprocess_mode="livesum"
        )
        self._gauges.append((gauge, read))

    # -- now and then ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look, in the running loop."""
        failure_observers.append(self._count_failed_task)
        if "velithon.jobs" in sys.modules:
            from velithon.jobs import add_observer

            add_observer(self._count_job)
        # Whoever traces has imported it by now.
        self.exemplars = "opentelemetry.trace" in sys.modules
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.interval, self._poll, loop, loop.time() + self.interval)

    def stop(self) -> None:
        """Write what was counted, and look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            failure_observers.remove(self._count_failed_task)
            if "velithon.jobs" in sys.modules:
                from velithon.jobs import remove_observer

                remove_observer(self._count_job)
        self.write()
        if MULTIPROCESS in os.environ:
            _import_multiprocess().mark_process_dead(os.getpid())

    def _poll(self, loop: asyncio.AbstractEventLoop, expected: float) -> None:
        self.series.loop_lag.observe(max(0.0, loop.time() - expected))
        self.write()
        self._timer = loop.call_later(self.interval, self._poll, loop, loop.time() + self.interval)

    def _count_failed_task(self, task: object, error: Exception) -> None:
        self.series.tasks_failed.inc()

    def _count_job(self, event: JobEvent) -> None:
        self.series.jobs.labels(event.job, event.kind).inc()
        if event.kind == "started":
            self.series.job_waits.labels(event.job).observe(event.seconds)
        elif event.kind != "enqueued":
            self.series.job_durations.labels(event.job).observe(event.seconds)

    def write(self) -> None:
        """Bring prometheus-client's objects up to date; in the loop's thread."""
        for cell in self.cells.values():
            cell.write()
        for connection in self.connections:
            connection.write()
        self.series.in_flight.inc(self.in_flight - self._written)
        self._written = self.in_flight
        if self._app is not None:
            running, queued = self._app._in_flight.count()
            self.series.tasks_running.set(running)
            self.series.tasks_queued.set(queued)
        busy, waiting = (self._app and self._app._thread_pool or current_thread_pool()).in_use()
        self.series.threads_in_use.set(busy)
        self.series.threads_waiting.set(waiting)
        for gauge, read in self._gauges:
            gauge.set(read())

    def exemplar(self) -> dict[str, str] | None:
        """Return the identifiers of the current trace, where it is sampled."""
        if not self.exemplars:
            return None
        from opentelemetry import trace

        context = trace.get_current_span().get_span_context()
        if not context.trace_flags.sampled:
            return None
        return {
            "trace_id": trace.format_trace_id(context.trace_id),
            "span_id": trace.format_span_id(context.span_id),
        }

    # -- the endpoint ---------------------------------------------------------------------------------------------

    async def endpoint(self, request: Request) -> Response:
        """Answer a scrape: Prometheus's text, or OpenMetrics where it is asked for."""
        itself = int(request.app is self._app)
        self.in_flight -= itself
        self.write()
        self.in_flight += itself
        names = request.query_params.getlist("name[]")
        body, content_type = await run_in_threadpool(self._encode, request.headers.get("accept", ""), names)
        # Its charset is in the type already.
        return Response(body, headers={"content-type": content_type})

    def _encode(self, accept: str, names: list[str]) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        registry: Any = self.registry
        if MULTIPROCESS in os.environ:
            registry = _collect_workers(os.environ[MULTIPROCESS])
        if names:
            registry = registry.restricted_registry(names)
        return encode(registry), content_type


def _clip_infinite(bounds: Sequence[float]) -> tuple[float, ...]:
    """Return the bounds as floats, without the infinite one, which every histogram has."""
    return tuple(float(bound) for bound in bounds if bound != float("inf"))


def _import_multiprocess() -> Any:
    """Return prometheus-client's module for several processes, which is not annotated."""
    from prometheus_client import multiprocess

    return multiprocess


def _collect_workers(directory: str) -> CollectorRegistry:
    """Return a registry over what all workers wrote, without the gauges of those that died unseen."""
    multiprocess = _import_multiprocess()
    for file in glob.glob(os.path.join(glob.escape(directory), "gauge_live*_*.db")):
        pid = int(file.rpartition("_")[2].removesuffix(".db"))
        if not is_alive(pid):
            multiprocess.mark_process_dead(pid, directory)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, directory)
    return registry
