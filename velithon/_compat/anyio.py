"""What is private of AnyIO, and used here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio._backends._asyncio import _task_states

__all__ = ["PRIVATE", "as_worker_thread", "innermost_cancel_scope"]

PRIVATE = {
    "anyio._backends._asyncio:_task_states": "tells whether a dependency left a cancel scope open around its `yield`",
    "anyio._core._eventloop:threadlocals": "lets `anyio.from_thread` work in the threads of our own pool",
}
"""Module and name -> what it is used for."""


def innermost_cancel_scope() -> Any:
    """Return AnyIO's innermost cancel scope of this task; `None` where there is none."""
    if not _task_states.data:  # type: ignore[attr-defined]  # of WeakKeyDictionary, which typeshed does not show
        return None
    task = asyncio.current_task()
    state = None if task is None else _task_states.get(task)
    return None if state is None else state.cancel_scope


@contextmanager
def as_worker_thread(token: Any) -> Iterator[None]:
    """Let `anyio.from_thread` work in this thread.

    AnyIO knows its own workers by a thread-local. Where a release moves it, its functions ask for a `token` as they do
    in any foreign thread.

    Args:
        token: The event loop's `anyio.lowlevel.EventLoopToken`.
    """
    try:
        from anyio._core._eventloop import threadlocals
    except ImportError:
        yield
        return
    threadlocals.current_token = token
    threadlocals.current_cancel_scope = None
    yield
