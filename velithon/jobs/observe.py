"""Who watches jobs: observers such as metrics, and the traces that jobs belong to."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

__all__ = ["JobEvent", "add_observer", "inject_trace", "notify", "remove_observer", "span"]

logger = logging.getLogger("velithon.jobs")


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something happened to a job, in this process.

    Attributes:
        kind: `"enqueued"` where it was asked for; `"started"`, then `"succeeded"`, `"retried"` (it failed and will be
            tried again) or `"failed"` (for good) where it is done.
        job: The name of its function.
        id: Its id.
        attempt: 1 for the first.
        seconds: How long it took, once it has ended; for `"started"`, how long it waited since it was due.
    """

    kind: Literal["enqueued", "started", "succeeded", "retried", "failed"]
    job: str
    id: str
    attempt: int
    seconds: float = 0.0


_observers: list[Callable[[JobEvent], None]] = []


def add_observer(observer: Callable[[JobEvent], None]) -> None:
    """Have a function called for every event of every job of this process.

    It must be quick.
    """
    if observer not in _observers:
        _observers.append(observer)


def remove_observer(observer: Callable[[JobEvent], None]) -> None:
    """Undo `add_observer`."""
    if observer in _observers:
        _observers.remove(observer)


def notify(event: JobEvent) -> None:
    """Tell all observers; one that fails is logged and does the job no harm."""
    for observer in _observers:
        try:
            observer(event)
        except Exception:
            logger.exception("An observer of jobs failed")


def inject_trace(headers: dict[str, str]) -> None:
    """Add the headers of the current trace, where OpenTelemetry is in use."""
    if "opentelemetry" in sys.modules:
        from opentelemetry import propagate

        propagate.inject(headers)


@contextmanager
def span(job: str, id: str, headers: dict[str, str]) -> Iterator[None]:
    """Run a job as a span of the trace that enqueued it.

    That is done where OpenTelemetry is in use or the trace is known.
    """
    if "opentelemetry" not in sys.modules:
        yield
        return
    from opentelemetry import propagate, trace

    attributes: dict[str, str] = {"messaging.operation.type": "process", "messaging.message.id": id}
    tracer = trace.get_tracer("velithon.jobs")
    parent = propagate.extract(headers)
    with tracer.start_as_current_span(
        f"job {job}", context=parent, kind=trace.SpanKind.CONSUMER, attributes=attributes
    ):
        yield
