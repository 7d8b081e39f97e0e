"""Velithon: one web application on two protocols, RSGI and ASGI."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from velithon.application import Velithon
from velithon.background import BackgroundTask, BackgroundTasks
from velithon.datastructures import UploadFile
from velithon.endpoint import HTTPEndpoint
from velithon.exceptions import HTTPException, WebSocketException
from velithon.responses import Response
from velithon.routing import APIRouter, Router
from velithon.websocket import WebSocket, WebSocketDisconnect, WebSocketEndpoint

if TYPE_CHECKING:
    from starlette import status

    # To a type checker it is Starlette's, whose middleware and functions FastAPI's users hand it to and override.
    from starlette.requests import Request

    from velithon.middleware import Middleware
    from velithon.param_functions import Body, Cookie, Depends, File, Form, Header, Path, Query, Security
else:
    from velithon.requests import Request

__version__ = "0.1.0"

__all__ = [
    "APIRouter",
    "BackgroundTask",
    "BackgroundTasks",
    "Body",
    "Cookie",
    "Depends",
    "File",
    "Form",
    "HTTPEndpoint",
    "HTTPException",
    "Header",
    "Middleware",
    "Path",
    "Query",
    "Request",
    "Response",
    "Router",
    "Security",
    "UploadFile",
    "Velithon",
    "WebSocket",
    "WebSocketDisconnect",
    "WebSocketEndpoint",
    "WebSocketException",
    "status",
]

# Kept out of the import of whoever does not use them.
_MODULES = {
    "Body": "param_functions",
    "Cookie": "param_functions",
    "Depends": "param_functions",
    "File": "param_functions",
    "Form": "param_functions",
    "Header": "param_functions",
    "Middleware": "middleware",
    "Path": "param_functions",
    "Query": "param_functions",
    "Security": "param_functions",
}
_SUBMODULES = frozenset({"contexts", "di", "heartbeat", "param_functions", "params", "status"})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # to a type checker it would be every name

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            # `from velithon import status` would ask this function again.
            return import_module(f"velithon.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"velithon.{_MODULES[name]}"), name)
        return value
