"""Test clients that speak to an application in process, over ASGI or over RSGI."""

from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession

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
