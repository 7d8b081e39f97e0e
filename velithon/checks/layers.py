"""Options of the application and of its middleware that are not safe."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.middleware.cors import CORSMiddleware

from velithon.checks.finding import Checked, Finding, iterate_groups

if TYPE_CHECKING:
    from starlette.middleware import Middleware


__all__ = ["check_layers"]

# Of HMAC-SHA256, RFC 2104 section 3: a key is at least as long as the hash's output.
_SECRET_BYTES = 32


def check_layers(application: Checked) -> Iterator[Finding]:
    """Yield mistakes in the options of an application, its mounts and their layers."""
    for prefix, owner in _iterate_applications(application):
        of = f" of what is mounted at {prefix}" if prefix else ""
        if getattr(owner, "debug", False) and os.environ.get("VELITHON_ENV") != "development":
            yield Finding(
                "",
                "debug",
                f"debug=True{of} shows code and values to clients."
                " Turn it on in development only; `velithon dev` does, and sets VELITHON_ENV=development.",
            )
        for layer in getattr(owner, "user_middleware", ()):
            yield from _check_layer(layer, of)
    for prefix, routes in iterate_groups(application.routes):
        for route in routes:
            for layer in getattr(route, "middleware", ()):
                yield from _check_layer(layer, f" of {prefix}{getattr(route, 'path', '')}")


def _iterate_applications(application: Checked) -> Iterator[tuple[str, object]]:
    yield "", application
    for prefix, routes in iterate_groups(application.routes):
        for route in routes:
            inner = getattr(route, "app", None)
            if hasattr(inner, "user_middleware"):
                yield prefix + getattr(route, "path", ""), inner


def _check_layer(layer: Middleware, of: str) -> Iterator[Finding]:
    cls: Any = layer.cls
    if not inspect.isclass(cls):
        return
    options = inspect.signature(cls).bind_partial(None, *layer.args, **layer.kwargs).arguments
    # Its import needs an extra; who has not imported it has no layer of it.
    sessions = sys.modules.get("starlette.middleware.sessions")
    if sessions is not None and issubclass(cls, sessions.SessionMiddleware):
        secret = options.get("secret_key", "")
        for key in secret if isinstance(secret, list | tuple) else [secret]:
            length = len(str(key).encode())
            if length < _SECRET_BYTES:
                yield Finding(
                    "",
                    "short-secret",
                    f"The secret_key of {cls.__name__}{of} has {length} bytes, and needs {_SECRET_BYTES}."
                    f" Make one with `python -c 'import secrets; print(secrets.token_urlsafe({_SECRET_BYTES}))'`.",
                )
    if issubclass(cls, CORSMiddleware) and options.get("allow_credentials") and "*" in options.get("allow_origins", ()):
        yield Finding(
            "",
            "cors-credentials",
            f'{cls.__name__}{of} allows the origin "*" with credentials: any site may act for its visitors.'
            " Name the origins.",
        )
