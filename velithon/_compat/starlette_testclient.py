"""What is private of Starlette's test client; apart, as it imports HTTPX."""

from __future__ import annotations

from starlette.testclient import _TestClientTransport, _Upgrade

__all__ = ["_TestClientTransport", "_Upgrade"]
