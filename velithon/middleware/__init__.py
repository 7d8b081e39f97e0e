"""Middleware: layers around the routes, for both protocols."""

from starlette.middleware import Middleware

__all__ = ["Middleware"]
