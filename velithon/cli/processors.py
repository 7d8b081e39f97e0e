"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["count_processors"]

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def count_processors(quota: Path = _QUOTA) -> int:
    """Return the number of processors that this process may run on, at least 1.

    Args:
        quota: The file with a container's limit (control groups v2): microseconds of processor time, or `max`, and the
            period in which they may be used.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    processors = (os.cpu_count() or 1) if affinity is None else len(affinity(0))
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):
        return processors
    return processors if allowed == "max" else max(1, min(processors, math.ceil(int(allowed) / int(period))))
