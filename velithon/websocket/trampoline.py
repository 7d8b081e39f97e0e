"""Runs a WebSocket's endpoint at the bottom of the task's stack.

A task that is woken walks down from its first frame to the one that waits, through every function in between. There are
twenty of them between a server and an endpoint, which costs a microsecond for each message in and again for each one
out. So the innermost function yields the endpoint's coroutine upwards and waits once; the function at the bottom of the
stack runs it, in the same task and context, and passes down what it returned or raised.
"""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING

from velithon.exceptions import as_exception

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator

    from starlette.types import Scope

__all__ = ["run_at_bottom", "run_trampoline"]

# In the scope: the task whose stack the trampoline stands in. A layer may run what is inside in another task.
_TASK = "velithon.task"


class Bounced:
    """Carries a coroutine up the stack, past the frames that wait for it."""

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Coroutine[object, object, None]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator[Bounced, None, None]:
        yield self


def run_at_bottom(scope: Scope, coroutine: Coroutine[object, object, None]) -> Awaitable[None]:
    """Return an awaitable that runs a coroutine at the bottom of the stack.

    In another task than the trampoline's it runs in place.
    """
    return Bounced(coroutine) if scope.get(_TASK) is asyncio.current_task() else coroutine


def run_trampoline(scope: Scope, layers: Coroutine[object, object, None]) -> Awaitable[None]:
    """Return an awaitable that runs a connection's layers and, below them, what `run_at_bottom` yields."""
    task = asyncio.current_task()
    if scope.get(_TASK) is task:
        return layers  # of an application inside another
    scope[_TASK] = task
    return _run(layers)


@types.coroutine
def _run(layers: Coroutine[object, object, None]) -> Generator[object, object, None]:
    value: object = None
    failure: BaseException | None = None
    while True:
        try:
            waits = layers.send(value) if failure is None else layers.throw(failure)
        except StopIteration:
            return
        except (SystemExit, KeyboardInterrupt) as exc:
            raise as_exception(exc) from exc
        finally:
            # A frame that keeps an exception is a cycle of the two.
            failure = None
        try:
            value = (yield from waits.coroutine) if type(waits) is Bounced else (yield waits)
        except BaseException as exc:  # noqa: BLE001 - thrown on
            failure = exc
