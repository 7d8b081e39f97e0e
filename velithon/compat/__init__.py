"""Code written for FastAPI, taken as it is."""

from __future__ import annotations
