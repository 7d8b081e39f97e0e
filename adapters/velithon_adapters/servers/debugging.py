"""Logs why a worker did not start, and lets `breakpoint()` work in one."""

from __future__ import annotations

import logging
import os
import pdb
import sys

from velithon_adapters.servers.worker import logger

__all__ = ["log_failure", "use_terminal_for_breakpoints"]


def log_failure(exc: BaseException) -> None:
    """Log why a worker ends, once.

    The message's first line is the record's text; what follows is its traceback.
    """
    message, _, trace = str(exc).partition("\n")
    record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, message.removesuffix(":"), (), None)
    record.exc_text = trace or None
    logger.handle(record)


def use_terminal_for_breakpoints(workers: int) -> None:
    """Let `breakpoint()` work in a worker, whose standard input multiprocessing has taken away.

    With one worker it opens the terminal; with several, whose debuggers would read from it all at once, and without a
    terminal it raises and says what to do. What `PYTHONBREAKPOINT` says stays.

    Args:
        workers: How many there are.
    """
    if "PYTHONBREAKPOINT" not in os.environ and sys.breakpointhook is sys.__breakpointhook__:
        sys.breakpointhook = _refuse if workers > 1 else _debug


def _refuse(*args: object, **kwargs: object) -> None:
    raise RuntimeError("breakpoint() needs one worker: run with --workers 1.")


def _debug(*args: object, **kwargs: object) -> None:
    try:
        # Not buffered in Python: readline does not take part, and what is typed belongs to the debugger alone.
        reading, writing = open("/dev/tty"), open("/dev/tty", "w")
    except OSError:
        raise RuntimeError(
            "breakpoint() needs a terminal, and this worker has none: run with --server uvicorn --workers 1, "
            "or set PYTHONBREAKPOINT=debugpy.breakpoint and attach an editor."
        ) from None
    debugger = pdb.Pdb(stdin=reading, stdout=writing, nosigint=True)
    debugger.prompt = "(Pdb) "
    debugger.set_trace(sys._getframe().f_back)
