"""What a process that supervises workers does, the same for both servers."""

from __future__ import annotations

import _thread
import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["leaving_no_workers", "set_in_handler"]


def set_in_handler(event: threading.Event) -> None:
    """Set an event in a signal handler.

    The handler may run within the event's own `wait`, which holds the lock that `set` takes: the thread would wait for
    itself. Another thread waits until that one has let go.
    """
    _thread.start_new_thread(event.set, ())


@contextmanager
def leaving_no_workers() -> Iterator[None]:
    """Kill workers that were started within and are still there.

    At its end this process would wait for them, and they for this process.
    """
    others = set(multiprocessing.active_children())
    try:
        yield
    finally:
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
            child.join()
