"""Whether `fastapi` means Velithon in this process."""

from __future__ import annotations

import os
import sys

__all__ = ["VARIABLE", "is_asked_for", "stands_for_fastapi"]

VARIABLE = "VELITHON_AS_FASTAPI"


def is_asked_for() -> bool:
    """Tell whether the environment asks for it.

    `velithon run --as-fastapi` sets it for its workers.
    """
    return os.environ.get(VARIABLE, "").lower() in ("1", "true", "yes", "on")


def stands_for_fastapi() -> bool:
    """Tell whether `import fastapi` gives Velithon.

    Then what the two do differently on purpose is done FastAPI's way.
    """
    alias = sys.modules.get("velithon.compat.alias")
    return alias is not None and alias.is_installed()
