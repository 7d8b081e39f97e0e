"""Settings of CPython's garbage collector for a process that serves an application.

An application's modules, routes and models are some hundred thousand objects that are never garbage, and requests leave
few reference cycles behind. To look for them anyway, at CPython's own pace, takes a tenth of a loaded server's time.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Send

__all__ = ["disable_tuning", "tune_after_startup"]

THRESHOLD = 10_000
"""New objects after which the collector looks at them: what a request makes is gone by then. CPython's own 700 to 2,000
are reached while requests are being answered, whose objects are then looked at in vain."""

_is_disabled = False


def disable_tuning() -> None:
    """Leave the collector of this process alone: it runs tests and is no server."""
    global _is_disabled
    _is_disabled = True


def tune_after_startup(send: Send) -> Send:
    """Return a lifespan's `send` that tunes the collector after startup and resets it after shutdown.

    Startup objects are collected once and frozen (`gc.freeze`), and the generation-0 threshold is raised to 10,000. A
    process that has set its own threshold, or has frozen objects, keeps its settings.
    """
    before: tuple[int, int, int] | None = None

    async def watched(message: Message) -> None:
        nonlocal before
        if message["type"] == "lifespan.startup.complete" and _is_default():
            before = gc.get_threshold()
            gc.collect()
            gc.freeze()
            gc.set_threshold(THRESHOLD, *before[1:])
        elif message["type"] == "lifespan.shutdown.complete" and before is not None:
            gc.unfreeze()
            gc.set_threshold(*before)
        await send(message)

    return watched


def _is_default() -> bool:
    if not hasattr(gc, "freeze"):
        return False  # PyPy
    threshold = gc.get_threshold()[0]
    return not _is_disabled and gc.isenabled() and not gc.get_freeze_count() and 0 < threshold < THRESHOLD
