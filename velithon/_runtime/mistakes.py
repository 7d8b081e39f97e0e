"""Warnings of what a developer probably did not mean."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable

from velithon.compat.asked import is_asked_for
from velithon.exceptions import RegistrationWarning

__all__ = ["warn_at", "warn_of"]

logger = logging.getLogger("velithon")


def warn_of(endpoint: Callable[..., object], problem: str) -> None:
    """Warn at the line of an endpoint, whose name goes before the problem."""
    code = getattr(inspect.unwrap(endpoint), "__code__", None)
    name = f"{endpoint.__module__}.{getattr(endpoint, '__qualname__', type(endpoint).__qualname__)}"
    file, line = ("<velithon>", 0) if code is None else (code.co_filename, code.co_firstlineno)
    warn_at(file, line, f"{name}: {problem}")


def warn_at(file: str, line: int, message: str) -> None:
    """Give a `RegistrationWarning` for a line.

    Code that was written for FastAPI runs on where warnings are errors: what it does is logged.
    """
    if is_asked_for():
        logger.warning("%s:%d: %s", file, line, message)
    else:
        warnings.warn_explicit(message, RegistrationWarning, file, line)
