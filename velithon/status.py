"""Starlette's status codes: ``HTTP_404_NOT_FOUND``, ``WS_1008_POLICY_VIOLATION`` and the others."""

from __future__ import annotations

from typing import Any

from starlette import status
from starlette.status import *  # noqa: F403 - the names are Starlette's, all of them


def __getattr__(name: str) -> Any:
    # The names that RFC 9110 replaced: Starlette warns and gives the number.
    return getattr(status, name)
