"""A worker process of Granian: loads the application, and drains it before the end.

From the signal on Granian takes no connection, waits for those that it has, without a bound, and then ends the loop:
background work that outlives its connection would be lost, and a connection that never ends would keep the worker until
its parent kills it, without the application's shutdown. `Drain` watches what is in flight from the signal on. It stops
the loop where Granian would wait in vain; and whoever ends the loop, it is there before the application's shutdown.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from velithon_adapters._compat.granian import (
    REQUEST_TASK,
    handle_signals_in_python,
    log_whole_exceptions,
    spawn_asgi_worker,
    spawn_rsgi_worker,
)
from velithon_adapters.lifespan import LifespanError
from velithon_adapters.servers.config import STARTUP_FAILURE, ServerConfig, ServerError
from velithon_adapters.servers.debugging import log_failure, use_terminal_for_breakpoints
from velithon_adapters.servers.interface import adapt, trust_proxies
from velithon_adapters.servers.listeners import close_listeners, until_read
from velithon_adapters.servers.sockets import Stoppable
from velithon_adapters.servers.spare import Gate
from velithon_adapters.servers.worker import (
    end_in_time,
    exit_now,
    has_server_ended,
    limit_threads,
    logger,
    outlive_hangups,
    stop_with_parent,
)
from velithon_adapters.stopping import stopping

if TYPE_CHECKING:
    from velithon_adapters.asgi import ASGIApp, ASGIScope, Message, Receive, Send

__all__ = ["Loader", "asgi_worker", "rsgi_worker"]


@dataclass
class Loader:
    """Makes a worker's application; goes to the worker in a pickle."""

    config: ServerConfig
    interface: Literal["rsgi", "asgi"]
    ready: Connection | None = None
    """Where a new worker says that its application has started."""
    alive: Connection | None = None
    """Whose other end the parent closes when the whole server ends."""
    gate: Gate | None = None
    """What a worker waits at that is there before it is needed."""

    def __call__(self) -> Any:
        stop_with_parent()
        use_terminal_for_breakpoints(self.config.workers)
        outlive_hangups()
        if self.gate is not None:
            self.gate.wait_to_import(self.config)
        app = adapt(self.config.load(), self.interface, root_path=self.config.root_path)
        if self.gate is not None:
            self.gate.wait_to_start()
        hosted = (_HostedRSGI if self.interface == "rsgi" else _HostedASGI)(app, self.config)
        hosted.ready = self.ready
        hosted.alive = self.alive
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
        self.ready: Connection | None = None
        self.alive: Connection | None = None

    def say_ready(self) -> None:
        """Tell the parent that the application has started; the listening socket is open already."""
        ready, self.ready = self.ready, None
        if ready is not None:
            ready.send_bytes(b"ready")
            ready.close()

    def watch_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the drain on the first signal, in the place of Granian's handler, which the drain calls."""
        config = self.config
        timeout, counts = config.workers_kill_timeout, config.task_impl != "rust"
        self.drain = drain = Drain(loop, timeout, counts, config.address, self.alive)
        if config.reload:
            drain.patience = drain.arrival  # who waits for a reload is the developer

        def handle(signum: int, frame: FrameType | None) -> None:
            granian = before[signum]
            drain.start(lambda: granian(signum, frame))

        before: dict[int, Any] = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}

    def shut_down(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the application's shutdown in a loop that was stopped."""
        raise NotImplementedError


class _HostedRSGI(_Hosted):
    def __init__(self, app: object, config: ServerConfig) -> None:
        super().__init__(app, config)
        # the application's own method: nothing of ours is called for a request
        self.__rsgi__ = trust_proxies(getattr(app, "__rsgi__", app), config.trusted_proxies(), "rsgi")

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
        self.say_ready()

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.drain is not None:
            loop.run_until_complete(self.drain.finish())
        if (delete := getattr(self.app, "__rsgi_del__", None)) is not None:
            delete(loop)

    def shut_down(self, loop: asyncio.AbstractEventLoop) -> None:
        self.__rsgi_del__(loop)


class _HostedASGI(_Hosted):
    """Passes everything through; of the lifespan it learns whether it failed, and can end it without Granian."""

    lifespan: asyncio.Task[object] | None = None
    said = False

    def __init__(self, app: ASGIApp, config: ServerConfig) -> None:
        super().__init__(Stoppable(trust_proxies(app, config.trusted_proxies(), "asgi")), config)

    def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> Awaitable[None]:
        return self.live(scope, receive, send) if scope["type"] == "lifespan" else self.app(scope, receive, send)

    async def live(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        self.watch_signals(asyncio.get_running_loop())
        await limit_threads(self.config.blocking_threads)
        self.lifespan = asyncio.current_task()
        self.stopped = asyncio.Event()

        async def receive_or_stop() -> Message:
            received, stopped = asyncio.ensure_future(receive()), asyncio.ensure_future(self.stopped.wait())
            done, pending = await asyncio.wait((received, stopped), return_when=asyncio.FIRST_COMPLETED)
            for wait in pending:
                wait.cancel()
            if self.drain is not None:
                await self.drain.finish()
            return received.result() if received in done else {"type": "lifespan.shutdown"}

        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.failed, self.said = True, bool(message.get("message"))
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self.say_ready()

        try:
            await self.app(scope, receive_or_stop, watch)
        except Exception:
            if not self.said:  # else Granian has logged the reason already
                raise
        finally:
            if not self.failed:  # an application without a lifespan
                self.say_ready()

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
        address: The port that it listens on, or the path of its UNIX socket.
        alive: Says whether the whole server ends, or others go on to accept; see `has_server_ended`.

    Attributes:
        over: Whether the loop was stopped here, and not by Granian.
        done: Whether the application's shutdown has run.
    """

    notice = 0.1
    """Seconds for telling WebSockets that the server stops, before it does."""
    arrival = 0.2
    """Seconds for the first request of a connection that was accepted last."""
    patience = 1.0
    """Seconds for a client that is slower, and for a server that has to catch up."""
    linger = 0.5
    """Seconds for requests that are being accepted or answered while the signal arrives."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeout: float,
        counts: bool,
        address: int | str,
        alive: Connection | None = None,
    ) -> None:
        self.loop = loop
        self.address = address
        self.alive = alive
        self.timeout = timeout
        self.counts = counts
        self.over = False
        self.done = False
        self.stop_time: float | None = None
        self._reserve = min(2.0, timeout / 3)  # for the application's shutdown
        self._finishing = False
        self._watching: asyncio.Task[None] | None = None
        self._accepting: asyncio.Task[None] | None = None

    def start(self, stop_granian: Callable[[], None]) -> None:
        """Begin, on the first signal.

        Others change nothing here, as the parent answers a second one by killing.
        """
        if self.stop_time is None:
            self.stop_time = time.monotonic()
            threading.Thread(target=self._watch_clock, name="drain", daemon=True).start()
            self.loop.call_soon_threadsafe(self._begin, stop_granian)

    def _begin(self, stop_granian: Callable[[], None]) -> None:
        stopping.begin(self.timeout, self._reserve)
        self._accepting = self.loop.create_task(self._stop_accepting(stop_granian))
        self._watching = self.loop.create_task(self._watch())

    async def _stop_accepting(self, stop_granian: Callable[[], None]) -> None:
        """Accept nothing more, and only then stop: Granian closes what it has accepted and read nothing of."""
        await asyncio.sleep(self.notice)
        patience = min(self.patience, self.timeout / 10)
        await close_listeners(self.address, for_good=has_server_ended(self.alive), patience=patience)
        await asyncio.sleep(min(self.arrival, self.timeout / 10))
        await until_read(self.address, patience - self.arrival)
        stop_granian()

    async def _watch(self) -> None:
        """Stop the loop when nothing is in flight any more, unless Granian has done so meanwhile."""
        assert self.stop_time is not None
        # Polled: nobody tells when a task of Granian's begins or ends.
        while self._has_time() and (self._lingers() or self.busy()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if not self._finishing:
            self.over = True
            self.loop.stop()

    def _lingers(self) -> bool:
        """Tell whether requests may be on their way that nobody sees yet."""
        assert self.stop_time is not None
        is_accepting = self._accepting is not None and not self._accepting.done()
        return is_accepting or time.monotonic() < self.stop_time + self.linger

    async def finish(self) -> None:
        """Wait for what Granian does not wait for, such as background work.

        Then cancel what is left.
        """
        if self._finishing or self.stop_time is None:
            return
        self._finishing = True
        while self._has_time() and self.requests():  # noqa: ASYNC110 as above
            await asyncio.sleep(0.02)
        if requests := self.requests():
            logger.warning("Cancelling %d requests that are still in flight", len(requests))
            for request in requests:
                request.cancel()
            await asyncio.wait(requests, timeout=min(0.5, self.timeout / 10))

    def _has_time(self) -> bool:
        return self.stop_time is not None and time.monotonic() < self.stop_time + self.timeout - self._reserve

    def _watch_clock(self) -> None:
        assert self.stop_time is not None
        end_in_time(self.stop_time + self.timeout - 0.2, lambda: self.done)

    def busy(self) -> bool:
        """Return whether a request is in flight."""
        return not self.counts or bool(self.requests())

    def requests(self) -> list[asyncio.Task[object]]:
        """Return the tasks of the requests in flight."""
        tasks = asyncio.all_tasks(self.loop)
        return [task for task in tasks if getattr(task.get_coro(), "__name__", "") == REQUEST_TASK]


def rsgi_worker(*args: object) -> None:
    """Run a worker with Granian's arguments for the interface RSGI."""
    _run_worker(spawn_rsgi_worker, args)


def asgi_worker(*args: object) -> None:
    """Run a worker with Granian's arguments for the interface ASGI."""
    _run_worker(spawn_asgi_worker, args)


def _run_worker(target: Callable[..., None], args: tuple[object, ...]) -> None:
    """Run Granian's worker, and finish in its place when the drain stopped its loop."""
    handle_signals_in_python()
    log_whole_exceptions()
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
            _shut_down_and_exit(hosted, hosted.drain)
    if (hosted := _Hosted.current) is not None and hosted.drain is not None:
        hosted.drain.done = True


def _shut_down_and_exit(hosted: _Hosted, drain: Drain) -> None:
    try:
        hosted.shut_down(drain.loop)
    except Exception:  # noqa: BLE001 - whatever it is, it is logged and ends the process
        logger.exception("Application shutdown failed")
        exit_now(1)
    exit_now(0)
