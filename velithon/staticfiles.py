"""Starlette's static files; mount them: ``app.mount("/static", StaticFiles(directory="static"))``."""

from __future__ import annotations

from starlette.staticfiles import NotModifiedResponse, StaticFiles

__all__ = ["NotModifiedResponse", "StaticFiles"]
