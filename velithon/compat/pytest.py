"""A pytest plugin: `pytest -p velithon.compat.pytest` runs an application's own tests with Velithon for FastAPI."""

from __future__ import annotations

from velithon.compat.alias import install

install()
