"""What is private of AnyIO, and used here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

__all__ = ["PRIVATE", "as_worker_thread"]

PRIVATE = {
    "anyio._backends._asyncio:_task_states": "tells whether a cancel scope stands around what must run to its end",
    "anyio._core._eventloop:threadlocals": "lets `anyio.from_thread` work in the threads of our own pool",
}
"""Module and name -> what it is used for."""


@contextmanager
def as_worker_thread(token: object) -> Iterator[Callable[[object], None]]:
    """Let `anyio.from_thread` work in this thread.

    Gives what says which cancel scope its calls belong to.

    AnyIO knows its own workers by a thread-local. Where a release moves it, its functions ask for a `token` as they do
    in any foreign thread.

    Args:
        token: The event loop's `anyio.lowlevel.EventLoopToken`.
    """
    try:
        from anyio._core._eventloop import threadlocals
    except ImportError:
        yield lambda scope: None
        return
    threadlocals.current_token = token
    threadlocals.current_cancel_scope = None
    yield partial(setattr, threadlocals, "current_cancel_scope")
