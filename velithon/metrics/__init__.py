"""Metrics for Prometheus: `Metrics().install(app)`.

Needs `pip install "velithon[metrics]"`.
"""

from __future__ import annotations

try:
    import prometheus_client as prometheus_client
except ImportError as exc:
    raise ImportError('Metrics need prometheus-client: pip install "velithon[metrics]"') from exc

from velithon.metrics.install import Metrics
from velithon.metrics.layer import MetricsMiddleware
from velithon.metrics.series import DURATION_BUCKETS, SIZE_BUCKETS

__all__ = ["DURATION_BUCKETS", "SIZE_BUCKETS", "Metrics", "MetricsMiddleware"]
