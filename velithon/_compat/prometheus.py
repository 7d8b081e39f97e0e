"""What is private of prometheus-client, and used here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PRIVATE", "add_observations"]

PRIVATE = {
    "prometheus_client.metrics:Histogram._sum": "adds many observations at once; `observe` takes one at a time",
    "prometheus_client.metrics:Histogram._buckets": "adds many observations at once; `observe` takes one at a time",
}
"""Module and name -> what it is used for."""


def add_observations(histogram: Any, counts: Sequence[int], total: float) -> None:
    """Add observations to a histogram without labels, or to its child.

    Args:
        histogram: Prometheus-client's `Histogram`.
        counts: How many there were in each bucket, that without a bound too.
        total: Their sum.
    """
    histogram._sum.inc(total)
    for bucket, count in zip(histogram._buckets, counts, strict=True):
        if count:
            bucket.inc(count)
