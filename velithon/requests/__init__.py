"""Requests, on both protocols."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, HTTPConnection

from velithon.requests.request import Request

__all__ = ["ClientDisconnect", "HTTPConnection", "Request"]
