"""Uvicorn, which speaks ASGI and HTTP/1.

One worker runs in this process, unless workers are to be respawned or reloaded; then, and with several, this process
supervises. Uvicorn waits without an end for threads and for a loop that is blocked, in workers and for them; here both
end with `workers_kill_timeout`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, Literal

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process
from uvicorn.supervisors.watchfilesreload import WatchFilesReload

from velithon_adapters._compat.uvicorn import get_subprocess
from velithon_adapters.servers.address import bind
from velithon_adapters.servers.config import (
    STARTUP_FAILURE,
    OptionError,
    ServerConfig,
    ServerError,
    Started,
    reject_unsupported,
)
from velithon_adapters.servers.debugging import log_failure
from velithon_adapters.servers.interface import adapt, trust_proxies
from velithon_adapters.servers.sockets import Stoppable
from velithon_adapters.servers.spare import Barrier, Gate, gates, keeps_spare
from velithon_adapters.servers.worker import exit_now, limit_threads, logger, outlive_hangups, stop_with_parent
from velithon_adapters.stopping import stopping

if TYPE_CHECKING:
    from velithon_adapters.asgi import ASGIApp, ASGIScope, Receive, Send

__all__ = ["check", "protocol", "serve"]

# Seconds for requests that are on their way when listening ends, as in Granian's workers.
LINGER: Final = 0.2
_FOREVER: Final = 10**9  # seconds

_GRANIAN: Final = "use --server granian"
_UNSUPPORTED: Final = {
    "backpressure": _GRANIAN,
    "http1_buffer_size": _GRANIAN,
    "http1_header_read_timeout": f"it waits without a limit; {_GRANIAN}",
    "http1_pipeline_flush": _GRANIAN,
    "runtime_blocking_threads": "it has no threads of its own; --blocking-threads bounds those of the application",
    "runtime_mode": "it has one thread; use --workers, or --server granian",
    "runtime_threads": "it has one thread; use --workers, or --server granian",
    "task_impl": _GRANIAN,
    "workers_lifetime": f"use --limit-max-requests, or {_GRANIAN.removeprefix('use ')}",
    "workers_max_rss": f"use --limit-max-requests, or {_GRANIAN.removeprefix('use ')}",
    "rss_sample_interval": _GRANIAN,
    "rss_samples": _GRANIAN,
} | {
    name: f"it speaks HTTP/1 only; {_GRANIAN}"
    for name in ServerConfig.__dataclass_fields__
    if name.startswith("http2_")
}


def check(config: ServerConfig) -> None:
    """Raise `ServerError` for what Uvicorn cannot honour."""
    reject_unsupported(config, "uvicorn", _UNSUPPORTED)
    given: dict[str, tuple[bool, str]] = {
        "--interface rsgi": (config.interface == "rsgi", "it speaks ASGI only; use --server granian"),
        "--http 2": (config.http == "2", "it speaks HTTP/1 only; use --server granian"),
        "--no-http1-keep-alive": (config.http1_keep_alive is False, _GRANIAN),
        f"--loop {config.loop}": (
            config.loop not in (None, "auto", "asyncio", "uvloop"),
            "use auto, asyncio or uvloop, or --server granian",
        ),
        "--reload with --workers": (config.reload and config.workers > 1, "leave one of them out"),
        "--limit-max-requests with --no-respawn-failed-workers": (
            config.limit_max_requests is not None and config.respawn_failed_workers is False,
            "nobody would take a worker's place; leave one of them out",
        ),
        "--reload with --respawn-failed-workers": (
            config.reload and config.respawn_failed_workers is True,
            "the next change of a file starts a failed worker again; leave one of them out",
        ),
    }
    for option, (present, instead) in given.items():
        if present:
            raise OptionError("uvicorn", option, instead)
    config.trusted_proxies()
    config.check_certificate()


def protocol(config: ServerConfig) -> str:
    """Return what Uvicorn will speak, to the application and to clients, for people to read."""
    return "ASGI, HTTP/1"


def serve(config: ServerConfig, started: Started = lambda is_ready: None) -> None:
    """Serve until a signal; call `started` once the address is known and taken.

    Raises:
        ServerError: The address is in use, or an option cannot be honoured.
        SystemExit: With a status that is not 0 when the application did not start or workers died.
    """
    check(config)
    sock = bind(config)
    sock.set_inheritable(True)
    # Uvicorn ends itself with the signal that it caught, after a graceful shutdown too; that is a success here
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    if (hangup := getattr(signal, "SIGHUP", None)) is not None:  # not on Windows
        before[hangup] = signal.signal(hangup, _end_with_terminal if config.reload else _refuse_restart)
    try:
        options = _build_config(config)
        started(lambda: True)  # its workers listen when the application has started
        _run(options, config, sock)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sock.close()
        if config.uds is not None:
            config.uds.unlink(missing_ok=True)


def _refuse_restart(signum: int, frame: FrameType | None) -> None:
    logger.warning(
        "SIGHUP changes nothing: Uvicorn restarts workers one after the other with --workers 2 or more only. "
        "Use that, or --server granian."
    )


def _end_with_terminal(signum: int, frame: FrameType | None) -> None:
    """End a server in development, whose SIGHUP is the end of its terminal."""
    signal.raise_signal(signal.SIGTERM)


def _run(options: uvicorn.Config, config: ServerConfig, sock: socket.socket) -> None:
    server = _Server(options, config.workers_kill_timeout)
    if config.reload:
        options.reload_dirs = [Path.cwd()]
        _Reload(options, server.run, [sock], config).run()
    elif _has_workers(config):
        supervisor = _Supervisor(options, [sock], config)
        supervisor.run()
        if supervisor.failed:
            sys.exit(1)
    else:
        server.run([sock])
        if not server.started:
            sys.exit(STARTUP_FAILURE)


def _has_workers(config: ServerConfig) -> bool:
    """Tell whether the application runs in other processes than this one."""
    replaced = config.respawn_failed_workers is True or config.limit_max_requests is not None
    return config.reload or config.workers > 1 or replaced


def _build_config(config: ServerConfig) -> uvicorn.Config:
    return uvicorn.Config(
        _Loader(config),
        factory=True,
        interface="asgi3",
        host=config.host,
        port=config.port,
        uds=str(config.uds) if config.uds else None,
        workers=config.workers,
        loop=config.loop or "auto",
        ws=_find_websockets(),
        # Workers configure logging before they load the application; in this process it is loaded, and may have
        # changed what was configured.
        log_config=config.log_config if _has_workers(config) else None,
        access_log=config.access_log,
        # Granian has nothing like it: the loader does it, the same for both
        proxy_headers=False,
        root_path=config.root_path,
        limit_max_requests=config.limit_max_requests,
        ssl_certfile=config.ssl_certificate,
        ssl_keyfile=config.ssl_keyfile,
        ssl_keyfile_password=config.ssl_keyfile_password,
        # the rest of the time is for the application's shutdown
        timeout_graceful_shutdown=max(1, config.workers_kill_timeout - _compute_reserve(config.workers_kill_timeout)),
    )


def _find_websockets() -> type[asyncio.Protocol] | Literal["auto"]:
    try:
        from velithon_adapters.servers.uvicorn_websockets import WebSocketsProtocol
    except ImportError:  # `websockets` is not installed; Uvicorn looks for another package
        return "auto"
    return WebSocketsProtocol


def _compute_reserve(timeout: int) -> int:
    """Return how many seconds of a worker's end are kept for the application's shutdown."""
    return min(2, timeout // 3)


@dataclass
class _Loader:
    """Makes a worker's application; goes to the worker in a pickle. Uvicorn calls it in the worker's loop."""

    config: ServerConfig
    gate: Gate | None = None
    """What a worker waits at that is there before it is needed."""

    def __call__(self) -> ASGIApp:
        stop_with_parent()
        if os.environ.get("PYTHONASYNCIODEBUG"):
            # Uvicorn has turned it off where Python's own runner would have left it on.
            asyncio.get_running_loop().set_debug(True)
        if multiprocessing.parent_process() is not None:
            outlive_hangups()
        if self.gate is not None:
            self.gate.wait_to_import(self.config)
        try:
            app = trust_proxies(adapt(self.config.load(), "asgi"), self.config.trusted_proxies(), "asgi")
        except ServerError as exc:
            log_failure(exc)
        except Exception:  # noqa: BLE001 - whatever it is, it is logged and ends the process
            logger.exception("Cannot load the application")
        else:
            if self.gate is not None:
                self.gate.wait_to_start()
            stoppable = Stoppable(app)
            return _WithThreads(stoppable, self.config.blocking_threads) if self.config.blocking_threads else stoppable
        sys.exit(STARTUP_FAILURE)


class _WithThreads:
    """Sets the number of threads when the lifespan begins, then stands aside."""

    def __init__(self, app: ASGIApp, threads: int) -> None:
        self.app = app
        self.threads = threads

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await limit_threads(self.threads)
        await self.app(scope, receive, send)


class _Server(uvicorn.Server):
    """Uvicorn's server, which ends in time even when threads or a blocked loop hold it, and at once when told twice."""

    def __init__(self, config: uvicorn.Config, timeout: int) -> None:
        super().__init__(config)
        self.timeout = timeout
        self.over = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        stopping.begin(self.timeout, _compute_reserve(self.timeout))
        await self._take_last_connections(sockets or [])
        await super().shutdown(sockets)
        self.over = True

    async def _take_last_connections(self, sockets: list[socket.socket]) -> None:
        """Take the connections that wait while listening ends: the kernel would reset them with what was sent."""
        waiting = [sock.dup() for sock in sockets]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for sock in waiting:
            with sock, suppress(BlockingIOError):
                while True:
                    connection, _ = sock.accept()
                    connection.setblocking(False)
                    await loop.connect_accepted_socket(self._make_protocol, connection, ssl=self.config.ssl)
        # Their requests are on the way.
        await asyncio.sleep(min(LINGER, self.timeout / 4))

    def _make_protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg] # of asyncio's class, which it says it is
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            threading.Thread(target=self._end_in_time, name="end", daemon=True).start()
        elif multiprocessing.parent_process() is None:  # else Ctrl+C and the parent's SIGTERM are two signals for one
            logger.warning("Second signal, exiting at once")
            exit_now(1)
        super().handle_exit(sig, frame)

    def _end_in_time(self) -> None:
        last = time.monotonic() + self.timeout - 0.2
        while time.monotonic() < last and not self.over:
            time.sleep(0.05)
        if self.over:  # what may still hold the process are threads that run synchronous endpoints
            time.sleep(max(0.0, min(1.0, last - time.monotonic())))
            exit_now(0)
        logger.error("Worker %d is still busy, ending it without its shutdown", os.getpid())
        exit_now(1)


class _Supervisor(Multiprocess):
    """Uvicorn's supervisor of workers, bounded in time, with a second signal that kills and respawning as an option."""

    def __init__(self, options: uvicorn.Config, sockets: list[socket.socket], config: ServerConfig) -> None:
        super().__init__(options, sockets)
        self.settings = config
        self.signalled = False
        self.failed = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        if (hangup := getattr(signal, "SIGHUP", None)) is not None:  # not on Windows
            signal.signal(hangup, lambda *_: self.signal_queue.append(hangup))

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        if self.signalled:
            _kill([process.process for process in self.processes])
        self.signalled = True
        self.should_exit.set()

    def restart_all(self) -> None:
        """Replace one worker after the other.

        Each answers until the next one does, however long that takes.
        """
        for index, old in enumerate(self.processes):
            new = Process(self.config, self.sockets)
            new.start()
            if not new.wait_until_ready(_FOREVER, self.should_exit):
                new.kill()
                new.join()
                if not self.should_exit.is_set():
                    logger.error("The new worker %s did not start; the old one goes on", new.pid)
                return
            old.terminate()
            _join([old.process], self.settings.workers_kill_timeout)
            self.processes[index] = new

    def join_all(self) -> None:
        timeout = self.settings.workers_kill_timeout + self.settings.shutdown_delay
        _join([process.process for process in self.processes], timeout)

    def keep_subprocess_alive(self) -> None:
        dead = [process.process for process in self.processes if process.process.exitcode is not None]
        respawn = self.settings.respawn_failed_workers is not False
        if dead and (not respawn or _any_failed_to_start(dead)):
            logger.error("Worker %s ended with status %s, stopping", dead[0].pid, dead[0].exitcode)
            self.should_exit.set()
        elif respawn:
            super().keep_subprocess_alive()
        # Uvicorn too sets it, for a worker that failed to start while it was asked for its health
        self.failed = self.should_exit.is_set() and not self.signalled


def _any_failed_to_start(processes: Sequence[BaseProcess]) -> bool:
    return any(process.exitcode == STARTUP_FAILURE for process in processes)


class _Reload(WatchFilesReload):
    """Uvicorn's reloader, bounded in time, with a second signal that kills, and with the next worker in waiting."""

    def __init__(
        self, options: uvicorn.Config, target: Callable[..., None], sockets: list[socket.socket], settings: ServerConfig
    ) -> None:
        super().__init__(options, target, sockets)
        self.settings = settings
        self.timeout = settings.workers_kill_timeout
        self.keeps_spare = keeps_spare(settings)
        self.lock = threading.Lock()
        self.spare: tuple[SpawnProcess, Barrier] | None = None

    def signal_handler(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit.is_set():
            _kill([self.process])
        super().signal_handler(sig, frame)

    def startup(self) -> None:
        if not self.keeps_spare:
            super().startup()
            return
        with self._hold_worker() as barrier:
            super().startup()
        barrier.open()
        barrier.start()
        self._prepare_after(barrier)

    @contextmanager
    def _hold_worker(self) -> Iterator[Barrier]:
        """Let the worker that is started within wait."""
        gate, barrier = gates()
        loader = self.config.app
        assert isinstance(loader, _Loader)
        loader.gate = gate
        yield barrier
        gate.connection.close()

    def _prepare_after(self, barrier: Barrier) -> None:
        """Start the next worker as soon as the one of today has imported the application, or has ended."""

        def prepare() -> None:
            process = self.process
            while not barrier.has_loaded(0.1):
                if self.should_exit.is_set() or self.process is not process:
                    return
            with self.lock, self._hold_worker() as next_barrier:
                if self.should_exit.is_set() or self.process is not process:
                    return
                spare = get_subprocess(self.config, self.target, self.sockets)
                spare.start()
                self.spare = spare, next_barrier

        threading.Thread(target=prepare, name="prepare", daemon=True).start()

    def restart(self) -> None:
        with self.lock:
            spare, self.spare = self.spare, None
            if spare is None or not spare[0].is_alive():
                with self._hold_worker() if self.keeps_spare else nullcontext() as barrier:
                    self._end_worker()
                    super().restart()
                if barrier is not None:
                    barrier.open()
            else:
                process, barrier = spare
                barrier.open()
                self._end_worker()
                self.process = process
        if barrier is not None:
            barrier.start()
            self._prepare_after(barrier)

    def shutdown(self) -> None:
        self.should_exit.set()
        with self.lock:
            if self.spare is not None:
                _kill([self.spare[0]], silently=True)
        self._end_worker()
        super().shutdown()

    def _end_worker(self) -> None:
        self.process.terminate()
        _join([self.process], self.timeout)


def _join(processes: Sequence[BaseProcess], timeout: float) -> None:
    end = time.monotonic() + timeout - 0.2
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    _kill([process for process in processes if process.is_alive()])


def _kill(processes: list[BaseProcess], *, silently: bool = False) -> None:
    for process in processes:
        if not silently:
            logger.warning("Killing worker %s", process.pid)
        process.kill()
        process.join()
