"""Python imports this when it starts: a process that a test starts has `fastapi` mean Velithon as well."""

from __future__ import annotations

import os

if "PYTEST_CURRENT_TEST" in os.environ:
    import fastapi_names  # noqa: F401
