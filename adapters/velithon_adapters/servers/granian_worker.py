"""A worker process of Granian: loading the application, and a shutdown that is bounded in time.

Granian waits for every connection before a worker stops, also for one that has sent half a request and will never send
the rest; after `workers_kill_timeout` it kills the worker, and the application's shutdown never runs. `Drain` bounds
that wait: from the signal on it watches what is in flight, stops the loop when nothing is or when the time is almost
over, and the worker then runs the application's shutdown itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from velithon_adapters._compat.granian import (
    REQUEST_TASK,
    handle_signals_in_python,
    spawn_asgi_worker,
    spawn_rsgi_worker,
)
from velithon_adapters.lifespan import LifespanError
from velithon_adapters.servers.config import STARTUP_FAILURE, ServerConfig, ServerError
from velithon_adapters.servers.debugging import log_failure, use_terminal_for_breakpoints
from velithon_adapters.servers.interface import adapt, behind_proxies
from velithon_adapters.servers.worker import exit_now, limit_threads, logger, stop_with_parent

__all__ = ["Loader", "asgi_worker", "rsgi_worker"]


@dataclass
class Loader:
    """Makes a worker's application; goes to the worker in a pickle."""

    config: ServerConfig
    interface: Literal["rsgi", "asgi"]

    def __call__(self) -> Any:
        stop_with_parent()
        use_terminal_for_breakpoints(self.config.workers)
        app = adapt(self.config.load(), self.interface, root_path=self.config.root_path)
        hosted = (_HostedRSGI if self.interface == "rsgi" else _HostedASGI)(app, self.config)
        _Hosted.current = hosted
        return hosted


class _Hosted:
    """The application of this worker, with what a bounded shutdown needs to know of it."""

    current: _Hosted | None = None

    def __init__(self, app: Any, config: ServerConfig) -> None:
        self.app = app
        self.config = config
        self.drain: Drain | None = None
        self.failed = False

    def watch_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the drain on the first signal. Granian's handler, which stops the listener, is called as before."""
        self.drain = drain = Drain(loop, self.config.workers_kill_timeout, self.config.task_impl != "rust")

        def handle(signum: int, frame: FrameType | None) -> None:
            drain.start()
            if callable(granian := before.get(signum)):
                granian(signum, frame)

        before: dict[int, Any] = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}

    def shut_down(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the application's shutdown in a loop that was stopped."""
        raise NotImplementedError


class _HostedRSGI(_Hosted):
    def __init__(self, app: Any, config: ServerConfig) -> None:
        super().__init__(app, config)
        # the application's own method: nothing of ours is called for a request
        self.__rsgi__ = behind_proxies(getattr(app, "__rsgi__", app), config.trusted_proxies(), "rsgi")

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.watch_signals(loop)
        loop.run_until_complete(limit_threads(self.config.blocking_threads))
        if (init := getattr(self.app, "__rsgi_init__", None)) is not None:
            try:
                init(loop)
            except Exception as exc:
                self.failed = True
                # the reason is the application's own error, not how a lifespan reports it
                reason = exc.__cause__ if isinstance(exc, LifespanError) and exc.__cause__ else exc
                logger.error("Application startup failed", exc_info=reason)
                raise

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        if (delete := getattr(self.app, "__rsgi_del__", None)) is not None:
            delete(loop)

    def shut_down(self, loop: asyncio.AbstractEventLoop) -> None:
        self.__rsgi_del__(loop)


class _HostedASGI(_Hosted):
    """Passes everything through; of the lifespan it learns whether it failed, and can end it without Granian."""

    lifespan: asyncio.Task[Any] | None = None
    said = False

    def __init__(self, app: Any, config: ServerConfig) -> None:
        super().__init__(behind_proxies(app, config.trusted_proxies(), "asgi"), config)

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return self.live(scope, receive, send) if scope["type"] == "lifespan" else self.app(scope, receive, send)

    async def live(self, scope: Any, receive: Any, send: Any) -> None:
        self.watch_signals(asyncio.get_running_loop())
        await limit_threads(self.config.blocking_threads)
        self.lifespan = asyncio.current_task()
        self.stopped = asyncio.Event()

        async def receive_or_stop() -> Any:
            waits = [asyncio.ensure_future(receive()), asyncio.ensure_future(self.stopped.wait())]
            done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in pending:
                wait.cancel()
            return waits[0].result() if waits[0] in done else {"type": "lifespan.shutdown"}

        async def watch(message: Any) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.failed, self.said = True, bool(message.get("message"))
            await send(message)

        try:
            await self.app(scope, receive_or_stop, watch)
        except Exception:
            if not self.said:  # else Granian has logged the reason already
                raise

    def shut_down(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.lifespan is not None and not self.lifespan.done():
            self.stopped.set()
            loop.run_until_complete(asyncio.wait([self.lifespan]))


class Drain:
    """The time between the signal and the end of a worker.

    Args:
        loop: The worker's event loop.
        timeout: Seconds until the parent kills the worker.
        counts: Whether requests in flight can be seen, which is so when they are asyncio's tasks.
    """

    linger = 0.5
    """Seconds for requests that are being accepted or answered while the signal arrives."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float, counts: bool) -> None:
        self.loop = loop
        self.timeout = timeout
        self.counts = counts
        self.over = False
        self.begun: float | None = None

    def start(self) -> None:
        """Begin, on the first signal; others change nothing here, as the parent answers a second one by killing."""
        if self.begun is None:
            self.begun = time.monotonic()
            threading.Thread(target=self.run, name="drain", daemon=True).start()

    def run(self) -> None:
        """Wait for the requests in flight, stop the loop, and see to it that the process ends in time."""
        assert self.begun is not None
        reserve = min(2.0, self.timeout / 3)  # for the application's shutdown
        last = self.begun + self.timeout - reserve
        while time.monotonic() < last and (time.monotonic() < self.begun + self.linger or self.busy()):
            time.sleep(0.05)
        self.over = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        time.sleep(max(0.0, self.begun + self.timeout - 0.2 - time.monotonic()))
        logger.error("Worker %d is still busy, ending it without its shutdown", os.getpid())
        exit_now(1)

    def busy(self) -> bool:
        """Return whether a request is in flight."""
        return not self.counts or bool(self.requests())

    def requests(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of the requests in flight."""
        tasks = asyncio.all_tasks(self.loop)
        return [task for task in tasks if getattr(task.get_coro(), "__name__", "") == REQUEST_TASK]


def rsgi_worker(*args: Any) -> None:
    """Run a worker with Granian's arguments for the interface RSGI."""
    _work(spawn_rsgi_worker, args)


def asgi_worker(*args: Any) -> None:
    """Run a worker with Granian's arguments for the interface ASGI."""
    _work(spawn_asgi_worker, args)


def _work(target: Callable[..., None], args: tuple[Any, ...]) -> None:
    """Run Granian's worker, and finish in its place when the drain stopped its loop."""
    handle_signals_in_python()
    try:
        target(*args)
    except ServerError as exc:
        log_failure(exc)
        exit_now(STARTUP_FAILURE)
    except (Exception, SystemExit):
        hosted = _Hosted.current
        if hosted is None:  # the application could not be loaded
            logger.exception("Cannot load the application")
            exit_now(STARTUP_FAILURE)
        elif hosted.failed:
            exit_now(STARTUP_FAILURE)
        elif hosted.drain is None or not hosted.drain.over:
            raise
        else:
            _finish(hosted, hosted.drain)


def _finish(hosted: _Hosted, drain: Drain) -> None:
    requests = drain.requests()
    if requests:
        logger.warning("Cancelling %d requests that are still in flight", len(requests))
        for request in requests:
            request.cancel()
        drain.loop.run_until_complete(asyncio.wait(requests, timeout=min(0.5, drain.timeout / 10)))
    try:
        hosted.shut_down(drain.loop)
    except Exception:  # noqa: BLE001 - whatever it is, it is logged and ends the process
        logger.exception("Application shutdown failed")
        exit_now(1)
    exit_now(0)
