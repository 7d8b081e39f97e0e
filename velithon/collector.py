"""CPython's garbage collector in a process that serves an application.

An application's modules, routes and models are some hundred thousand objects that are never garbage, and requests leave
few reference cycles behind. To look for them anyway, at CPython's own pace, takes a tenth of a loaded server's time.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Send

__all__ = ["leave_alone", "settled"]

THRESHOLD = 10_000
"""New objects after which the collector looks at them: what a request makes is gone by then. CPython's own 700 to 2,000
are reached while requests are being answered, whose objects are then looked at in vain."""

_is_left_alone = False


def leave_alone() -> None:
    """Change nothing in this process, which is a test's and no server's."""
    global _is_left_alone
    _is_left_alone = True


def settled(send: Send) -> Send:
    """Return a lifespan's `send` that sets the collector up once the application has started, and back at its end.

    What is there then is collected once and frozen (`gc.freeze`). Who has set the collector up already, by another
    threshold or by freezing, is left alone.
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
    return not _is_left_alone and gc.isenabled() and not gc.get_freeze_count() and 0 < threshold < THRESHOLD
