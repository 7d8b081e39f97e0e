"""FastAPI's name for `velithon.application`."""

from __future__ import annotations

from velithon.application import Velithon

__all__ = ["FastAPI", "Velithon"]

FastAPI = Velithon
