"""How tests wait for what another process, thread or task does: for a condition, with a deadline."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

__all__ = ["until", "until_async"]


def until(condition: Callable[[], object], what: str = "the condition holds", seconds: float = 30) -> None:
    """Wait until a condition holds; an `OSError` of a server that is not there yet counts as no.

    Args:
        condition: What is asked again and again.
        what: What is waited for, for the failure's text.
        seconds: How long to wait at most.

    Raises:
        AssertionError: The condition did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not _holds(condition):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


async def until_async(
    condition: Callable[[], object | Awaitable[object]], what: str = "the condition holds", seconds: float = 10
) -> None:
    """Wait until a condition holds, while the loop's other tasks go on.

    Args:
        condition: What is asked again and again; it may be a coroutine function.
        what: What is waited for, for the failure's text.
        seconds: How long to wait at most.

    Raises:
        AssertionError: The condition did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        holds = condition()
        if await holds if inspect.isawaitable(holds) else holds:
            return
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.005)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except OSError:
        return False
