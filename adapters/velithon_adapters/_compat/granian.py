"""What is private of Granian, and used here."""

from __future__ import annotations

import signal
import traceback
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from granian import _granian, _signals
from granian._granian import BUILD_GIL, WorkerSignal
from granian._loops import loops
from granian.server import mp
from granian.server.mp import MPServer, WorkerProcess

if TYPE_CHECKING:
    from velithon_adapters.rsgi import RSGICallable

__all__ = [
    "BUILD_GIL",
    "PRIVATE",
    "REQUEST_TASK",
    "SocketHolder",
    "WorkerProcess",
    "handle_signals_in_python",
    "log_whole_exceptions",
    "loops",
    "spawn_asgi_worker",
    "spawn_rsgi_worker",
    "start_silently",
]

REQUEST_TASK = "future_watcher"
"""Granian runs each request in a task of a coroutine of this name (`granian/_futures.py`)."""

PRIVATE = {
    "granian._granian:BUILD_GIL": "tells a build for free-threaded Python, which is refused",
    "granian._granian:SocketHolder": "hands a listening socket that is open already to the workers",
    "granian._loops:loops": "tells which event loops are installed",
    "granian._granian:WorkerSignal": "tells a worker to stop",
    "granian._signals:set_loop_signals": "is replaced by handlers that others can stand in front of",
    "granian.server.mp:_future_watcher_wrapper": "is replaced: it logs no causes of an exception",
    "granian.server.mp:MPServer._spawn_asgi_lifespan_worker": "is wrapped to bound a worker's shutdown",
    "granian.server.mp:WorkerProcess._watch": "is what starting a worker does besides logging its start",
    "granian.server.mp:MPServer._spawn_workers": "is replaced on a reload, where a worker waits already",
    "granian.server.mp:MPServer._init_shared_socket": "is replaced: the socket is open already",
    "granian.server.mp:MPServer._respawn_workers": "is replaced: a worker answers until the next one does",
    "granian.server.mp:MPServer._spawn_worker": "is wrapped, so that a worker can say that it has started",
    "granian.server.mp:MPServer._spawn_rsgi_worker": "is wrapped to bound a worker's shutdown",
}
"""Module and name -> what it is used for."""

# Its type stubs know another signature.
SocketHolder: Any = _granian.SocketHolder
spawn_asgi_worker: Callable[..., None] = MPServer._spawn_asgi_lifespan_worker
spawn_rsgi_worker: Callable[..., None] = MPServer._spawn_rsgi_worker


class _Watcher(Protocol):
    """What Granian gives for each request, and hears of its end by."""

    scope: object
    proto: object

    def done(self) -> None: ...

    def err(self, exc: BaseException) -> None: ...


def start_silently(worker: WorkerProcess) -> None:
    """Start a worker that nobody has to know of yet."""
    worker.inner.start()
    worker._watch()


def handle_signals_in_python() -> None:
    """Replace the loop's signal handlers in Granian's workers by plain ones.

    An application may put a handler of its own in front of those, and delay them.

    The loop's own handlers, which Granian sets otherwise, run whatever others are set.
    """

    def set_signals(loop: AbstractEventLoop) -> WorkerSignal:
        event = WorkerSignal()

        def handle(*args: object) -> None:
            event.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handle)
        return event

    _signals.set_loop_signals = set_signals


def log_whole_exceptions() -> None:
    """Let Granian log an exception as Python prints it.

    That is with its causes, its notes and the exceptions of a group.
    """

    def wrap(inner: RSGICallable) -> Callable[[_Watcher], Awaitable[None]]:
        # The same as Granian's, and as dear, but for `make_printable`.
        async def future_watcher(watcher: _Watcher) -> None:
            try:
                await inner(watcher.scope, watcher.proto)
            except BaseException as exc:  # noqa: BLE001 - the server logs and answers it
                watcher.err(make_printable(exc))
                return
            watcher.done()

        return future_watcher

    mp._future_watcher_wrapper = wrap  # type: ignore[attr-defined]  # it is imported there, which mypy calls not exported


def make_printable(exc: BaseException) -> BaseException:
    """Return an exception whose message holds its causes, its notes and its group.

    An exception that has none of them is returned as it is.
    """
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    parts = list(getattr(exc, "__notes__", ()))
    if isinstance(exc, BaseExceptionGroup):
        parts += [f"It holds:\n{_format_exception(inner)}" for inner in exc.exceptions]
    if cause is not None:
        parts.append(f"It was raised from, or while handling:\n{_format_exception(cause)}")
    if not parts:
        return exc
    shown: BaseException = type(type(exc).__name__, (Exception,), {})("\n".join([str(exc), *parts]))
    return shown.with_traceback(exc.__traceback__)


def _format_exception(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc)).rstrip()
