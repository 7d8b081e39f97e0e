"""Velithon: one web application on two protocols, RSGI and ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.websockets import WebSocket, WebSocketDisconnect

from velithon._runtime.lazy import lazy_attributes
from velithon._runtime.version import __version__ as __version__
from velithon.application import Velithon
from velithon.background import BackgroundTask, BackgroundTasks
from velithon.datastructures import UploadFile
from velithon.endpoint import HTTPEndpoint
from velithon.exceptions import HTTPException, WebSocketException
from velithon.responses.base import Response
from velithon.routing.router import APIRouter, Router
from velithon.websocket.endpoint import WebSocketEndpoint

if TYPE_CHECKING:
    from starlette import status

    from velithon.applications import FastAPI as FastAPI
    from velithon.middleware import Middleware
    from velithon.param_functions import Body, Cookie, Depends, File, Form, Header, Path, Query, Security
    from velithon.serving import run

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
    "run",
    "status",
]

if not TYPE_CHECKING:
    # Kept out of the import of whoever does not use them.
    _FUNCTIONS = ("Body", "Cookie", "Depends", "File", "Form", "Header", "Path", "Query", "Security")
    _SUBMODULES = ("contexts", "di", "heartbeat", "param_functions", "params", "status")
    __getattr__, __dir__ = lazy_attributes(
        __name__,
        {
            # Not in `__all__`: the name that code written for FastAPI imports, for `Velithon`.
            "FastAPI": "velithon.applications",
            "Middleware": "velithon.middleware",
            "run": "velithon.serving",
            **dict.fromkeys(_FUNCTIONS, "velithon.param_functions"),
            **{name: f"velithon.{name}" for name in _SUBMODULES},
        },
    )
