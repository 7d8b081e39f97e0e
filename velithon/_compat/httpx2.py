"""What is private of HTTPX, and used here, for types alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx2._types import CookieTypes

__all__ = ["PRIVATE", "CookieTypes"]

PRIVATE = {
    "httpx2._types:CookieTypes": "is what Starlette's test client takes as cookies, which ours takes too",
}
"""Module and name -> what it is used for."""
