"""RSGI and ASGI, each carried over the other. Knows nothing of Velithon."""

from velithon_adapters.bridge import ASGIAdapter, RSGIAdapter
from velithon_adapters.http import HTTPReceive, HTTPSend, RSGIProtocol, RSGIStreamTransport, rsgi_headers, unwrap
from velithon_adapters.lifespan import Lifespan, LifespanError
from velithon_adapters.scope import RSGIHeaders, RSGIScope, asgi_headers, asgi_scope, body_length, parse_address
from velithon_adapters.websocket import (
    ASGIWebsocket,
    ClientDisconnected,
    RSGIWebsocketProtocol,
    RSGIWebsocketTransport,
)

__all__ = [
    "ASGIAdapter",
    "ASGIWebsocket",
    "ClientDisconnected",
    "HTTPReceive",
    "HTTPSend",
    "Lifespan",
    "LifespanError",
    "RSGIAdapter",
    "RSGIHeaders",
    "RSGIProtocol",
    "RSGIScope",
    "RSGIStreamTransport",
    "RSGIWebsocketProtocol",
    "RSGIWebsocketTransport",
    "asgi_headers",
    "asgi_scope",
    "body_length",
    "parse_address",
    "rsgi_headers",
    "unwrap",
]
