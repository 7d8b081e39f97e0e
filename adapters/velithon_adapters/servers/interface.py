"""Finds the protocols that an application speaks, and adapts it to the server's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from velithon_adapters.forwarded import TrustedProxies, forwarded_asgi, forwarded_rsgi
from velithon_adapters.servers.config import ServerError

__all__ = ["adapt", "find_protocols", "trust_proxies"]

if TYPE_CHECKING:
    from velithon_adapters.asgi import ASGIApp, ASGIScope, Receive, Send
    from velithon_adapters.rsgi import RSGIApp, RSGICallable


def find_protocols(app: object) -> frozenset[Literal["rsgi", "asgi"]]:
    """Return the protocols that `app` speaks; none when it is no application.

    An object with `__rsgi__` speaks RSGI. A callable is judged by its parameters: three are ASGI's, and a coroutine
    function with two is RSGI's own form (a function with two that is no coroutine function is WSGI, not served here).
    """
    spoken: set[Literal["rsgi", "asgi"]] = {"rsgi"} if callable(getattr(app, "__rsgi__", None)) else set()
    if inspect.isclass(app) or not callable(app):
        return frozenset(spoken) if not inspect.isclass(app) else frozenset()
    least, most = _count_positional(app)
    if least <= 3 <= most:
        spoken.add("asgi")
    elif least <= 2 <= most and _is_coroutine_function(app):
        spoken.add("rsgi")
    return frozenset(spoken)


def _count_positional(app: Callable[..., object]) -> tuple[int, float]:
    """The least and the most positional arguments that `app` can be called with."""
    try:
        # Not of what it wraps, which may be called otherwise.
        parameters = inspect.signature(app, follow_wrapped=False).parameters.values()
    except (TypeError, ValueError):  # a callable made in C, of which nothing is known
        return 0, 0
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return sum(p.default is p.empty for p in positional), float("inf") if rest else len(positional)


def _is_coroutine_function(app: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None))  # noqa: B004


def adapt(app: Any, interface: Literal["rsgi", "asgi"], *, root_path: str = "") -> Any:
    """Return `app` in a form that a server can call with `interface`.

    An application that speaks it is returned as it is, another one in an adapter.

    Args:
        app: The application.
        interface: The protocol that the server speaks.
        root_path: The prefix that a proxy strips. ASGI servers put it into the scope; RSGI has no place for it,
            so on RSGI an application's `root_path` attribute is set, and an adapted ASGI application gets it in its
            scope.

    Raises:
        ServerError: `app` is no application, or speaks only raw RSGI and cannot be told the prefix.
    """
    spoken = find_protocols(app)
    if not spoken:
        raise ServerError(f"{app!r} is no application: it is neither ASGI nor RSGI.")
    if interface == "asgi":
        return app if "asgi" in spoken else _adapt_to_asgi(app)
    if "rsgi" not in spoken:
        return _adapt_to_rsgi(_add_root_path(app, root_path) if root_path else app)
    if root_path:
        if not hasattr(app, "root_path"):
            raise ServerError("--url-path-prefix: an RSGI application without a root_path attribute cannot be told it.")
        app.root_path = root_path
    return app


def trust_proxies(app: Any, trusted: TrustedProxies, interface: Literal["rsgi", "asgi"]) -> Any:
    """Return an application whose requests show what trusted proxies say; itself where none are trusted."""
    if not trusted:
        return app
    return forwarded_rsgi(app, trusted) if interface == "rsgi" else forwarded_asgi(app, trusted)


def _add_root_path(app: ASGIApp, root_path: str) -> ASGIApp:
    async def with_root_path(scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            scope["root_path"] = root_path
        await app(scope, receive, send)

    return with_root_path


def _adapt_to_rsgi(app: ASGIApp) -> RSGIApp:
    from velithon_adapters import RSGIAdapter

    return RSGIAdapter(app)


def _adapt_to_asgi(app: RSGIApp | RSGICallable) -> ASGIApp:
    from velithon_adapters import ASGIAdapter

    return ASGIAdapter(app)
