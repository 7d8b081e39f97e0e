"""Whether `fastapi` means Velithon in this process."""

from __future__ import annotations

import os

__all__ = ["VARIABLE", "is_asked_for"]

VARIABLE = "VELITHON_AS_FASTAPI"


def is_asked_for() -> bool:
    """Tell whether the environment asks for it, as `velithon run --as-fastapi` has it for its workers."""
    return os.environ.get(VARIABLE, "").lower() in ("1", "true", "yes", "on")
