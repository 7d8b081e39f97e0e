"""Signals of a command before a server takes them."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["ended_by_signals"]


class _Ended(BaseException):
    """A signal came; no application that is being imported is to catch it as its own failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise _Ended(number)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End the command by SIGINT and SIGTERM, until a server sets handlers of its own.

    The first process of a container ignores both where it has no handler, and would go on starting until it is killed.

    Raises:
        typer.Exit: A signal came; the status is 128 and its number, as a shell has it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Ended as exc:
        raise typer.Exit(128 + exc.number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
