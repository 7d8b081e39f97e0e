"""A thread that treats an RSGI application as one worker process of Granian does."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@contextmanager
def worker(app: object, loop_factory: LoopFactory | None) -> Generator[BlockingPortal, None, None]:
    """Run one loop in a thread for `app.__rsgi_init__`, everything in between, and `app.__rsgi_del__`.

    Granian calls both functions with a loop that is not running, in the thread that runs it.

    Args:
        app: The application; both functions are optional.
        loop_factory: Makes the loop; None stands for asyncio's own.

    Yields:
        A portal into the loop.

    Raises:
        BaseException: What `__rsgi_init__` or `__rsgi_del__` raised.
    """
    started: Future[BlockingPortal] = Future()
    with ThreadPoolExecutor(1, thread_name_prefix="rsgi-worker") as executor:
        ended = executor.submit(_run, app, loop_factory, started)
        waiting: list[Future[Any]] = [started, ended]
        wait(waiting, return_when=FIRST_COMPLETED)
        if not started.done():
            ended.result()
        portal = started.result()
        cancel_remaining = True
        try:
            yield portal
            cancel_remaining = False
        finally:
            portal.call(portal.stop, cancel_remaining)
            ended.result()


def _run(app: object, loop_factory: LoopFactory | None, started: Future[BlockingPortal]) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        asyncio.set_event_loop(loop)
        try:
            if hasattr(app, "__rsgi_init__"):
                app.__rsgi_init__(loop)
            loop.run_until_complete(_serve(started))
            if hasattr(app, "__rsgi_del__"):
                app.__rsgi_del__(loop)
        finally:
            asyncio.set_event_loop(None)


async def _serve(started: Future[BlockingPortal]) -> None:
    async with BlockingPortal() as portal:
        started.set_result(portal)
        await portal.sleep_until_stopped()
