"""Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib

__all__ = ["hash_for_csp"]


def hash_for_csp(text: str) -> str:
    """Return the source expression that lets a Content-Security-Policy allow exactly this inline script or style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
