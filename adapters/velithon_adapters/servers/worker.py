"""What every worker process does around the server's own loop, the same for both servers."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NoReturn

__all__ = ["end_in_time", "exit_now", "has_server_ended", "limit_threads", "outlive_hangups", "stop_with_parent"]

logger = logging.getLogger("velithon_adapters.servers")


async def limit_threads(number: int | None) -> None:
    """Let synchronous endpoints use `number` threads in the running loop.

    Starlette runs them in AnyIO's pool.
    """
    if number is not None:
        import anyio.to_thread

        anyio.to_thread.current_default_thread_limiter().total_tokens = number


def stop_with_parent() -> None:
    """Stop this worker when the process that supervises it is gone.

    Nobody else would, and it would keep the port.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="stop-with-parent", daemon=True).start()


def has_server_ended(alive: Connection | None) -> bool:
    """Tell whether this worker stops with its whole server.

    Nobody accepts connections after it then.

    Args:
        alive: Whose other end the supervising process closes when it stops all workers, or dies; `None` where there is
            no such process.
    """
    return alive is None or alive.poll()


def outlive_hangups() -> None:
    """Ignore SIGHUP, which the supervising process handles.

    A worker that died of it would lose its requests.
    """
    if (number := getattr(signal, "SIGHUP", None)) is not None:  # not on Windows
        signal.signal(number, signal.SIG_IGN)


def end_in_time(last: float, is_done: Callable[[], bool]) -> NoReturn:
    """End the process in time; for a thread of its own.

    Whatever holds the loop, or keeps the interpreter from its end, does not stop it.

    Args:
        last: When it has to have ended, by the monotonic clock.
        is_done: Whether the application's shutdown has run.
    """
    while time.monotonic() < last and not is_done():
        time.sleep(0.05)
    if is_done():  # what may still hold the process are threads that run synchronous endpoints
        time.sleep(max(0.0, min(1.0, last - time.monotonic())))
        exit_now(0)
    logger.error("Worker %d is still busy, ending it without its shutdown", os.getpid())
    exit_now(1)


def exit_now(status: int) -> NoReturn:
    """End the process whatever its threads do, after what was logged or printed is written."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                continue  # closed by the other side, or by the application
    os._exit(status)
