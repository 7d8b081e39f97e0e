"""Test clients that speak to an application in process, over ASGI or over RSGI."""

try:
    from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
except RuntimeError as exc:
    raise ImportError("velithon.testclient needs httpx2: pip install 'velithon[test]'") from exc

from velithon._runtime.gc import disable_tuning
from velithon.testclient.client import AsyncTestClient, ProtocolName, TestClient
from velithon.testclient.memory import RSGIMisuseError

__all__ = [
    "AsyncTestClient",
    "ProtocolName",
    "RSGIMisuseError",
    "TestClient",
    "WebSocketDenialResponse",
    "WebSocketTestSession",
]

disable_tuning()
