"""What is private of Uvicorn, and used here."""

from __future__ import annotations

from uvicorn._subprocess import get_subprocess

__all__ = ["PRIVATE", "get_subprocess"]

PRIVATE = {"uvicorn._subprocess:get_subprocess": "makes the process of a worker, as the reloader does"}
"""Module and name -> what it is used for."""
