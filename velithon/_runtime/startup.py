"""What is done when an application has started: tuning, and late telemetry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope, Send

    class Starting(Protocol):
        """An application whose layers are composed when its lifespan begins."""

        tune_gc: bool
        middleware_stack: ASGIApp | None


__all__ = ["watch_startup"]


def watch_startup(app: Starting, scope: Scope, send: Send, is_traced: bool) -> Send:
    """Return the `send` of a lifespan that notices the end of its startup.

    Layers were composed before the lifespan ran: where that has set a global provider of OpenTelemetry's, they are
    composed again, with telemetry.

    Args:
        app: Whose lifespan it is.
        scope: The lifespan's.
        send: The server's.
        is_traced: Whether it has telemetry already, or is patched by what traces it.
    """
    # Starlette's test client is the one that does not name the version of ASGI.
    if app.tune_gc and "asgi" in scope:
        from velithon._runtime.gc import tune_after_startup

        send = tune_after_startup(send)
    if is_traced:
        return send

    async def watched(message: Message) -> None:
        if message["type"] == "lifespan.startup.complete" and "opentelemetry.trace" in sys.modules:
            from velithon.telemetry import global_telemetry

            if global_telemetry() is not None:
                app.middleware_stack = None
        await send(message)

    return watched
