"""Velithon: one web application on two protocols, RSGI and ASGI."""

__version__ = "0.1.0"
