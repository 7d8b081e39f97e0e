"""The version, which the build and `make release` read and write here."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
