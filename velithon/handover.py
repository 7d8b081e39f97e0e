"""Running a WebSocket's endpoint where its task begins.

What wakes a task walks down from where the task began to where it waits, through every function in between. Between a
server and an endpoint there are twenty, which takes a microsecond for each message in and again for each one out. So
the innermost hands the endpoint's coroutine up and waits once; the outermost runs it, in the same task and context, and
gives back down what it returned or raised.
"""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator

    from starlette.types import Scope

__all__ = ["outermost", "run_outermost"]

# In the scope: the task in which something may be handed up. A layer may run what is inside in another one.
_TASK = "velithon.task"


class HandedUp:
    """A coroutine on its way up."""

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator[HandedUp, None, None]:
        yield self


def outermost(scope: Scope, coroutine: Coroutine[Any, Any, None]) -> Awaitable[None]:
    """Return what to await to have a coroutine run outermost, or where it is when that is in another task."""
    return HandedUp(coroutine) if scope.get(_TASK) is asyncio.current_task() else coroutine


def run_outermost(scope: Scope, layers: Coroutine[Any, Any, None]) -> Awaitable[None]:
    """Return what to await to run a connection's layers and, outside of them, what is handed up from inside."""
    task = asyncio.current_task()
    if scope.get(_TASK) is task:
        return layers  # of an application inside another
    scope[_TASK] = task
    return _run(layers)


@types.coroutine
def _run(layers: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
    value: Any = None
    failure: BaseException | None = None
    while True:
        try:
            waits = layers.send(value) if failure is None else layers.throw(failure)
        except StopIteration:
            return
        finally:
            # A frame that keeps an exception is a cycle of the two.
            failure = None
        try:
            value = (yield from waits.coroutine) if type(waits) is HandedUp else (yield waits)
        except BaseException as exc:  # noqa: BLE001 - thrown on
            failure = exc
