"""Requests, on both protocols.

The names are Starlette's own classes, so that packages that look for them in a signature find them. Endpoints get
subclasses.
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect, HTTPConnection, Request

__all__ = ["ClientDisconnect", "HTTPConnection", "Request"]
