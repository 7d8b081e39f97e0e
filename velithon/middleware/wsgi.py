"""Starlette's bridge to WSGI applications, for mounting them. Starlette says to prefer `a2wsgi`."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # The warning is for those who choose the module, not for the name that stands for it here.
    warnings.simplefilter("ignore")
    from starlette.middleware.wsgi import WSGIMiddleware

__all__ = ["WSGIMiddleware"]
