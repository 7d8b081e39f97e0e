"""Python imports this when it starts: a process that a test starts has `fastapi` mean Velithon as well."""

from __future__ import annotations

import importlib
import os

if "PYTEST_CURRENT_TEST" in os.environ:
    importlib.import_module("fastapi_names")
