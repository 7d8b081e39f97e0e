"""Granian, with RSGI or ASGI.

Workers are spawned, not forked, on every system: a forked worker would inherit the modules that its parent imported,
and a reload would serve the old ones.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, TaskImpl
from granian.errors import FatalError
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from velithon_adapters._compat.granian import BUILD_GIL, SocketHolder, WorkerProcess, loops, start_silently
from velithon_adapters.servers.address import bind
from velithon_adapters.servers.bytecode import drop_bytecode
from velithon_adapters.servers.config import (
    STARTUP_FAILURE,
    OptionError,
    ServerConfig,
    ServerError,
    Started,
    reject_unsupported,
)
from velithon_adapters.servers.granian_worker import Loader, asgi_worker, rsgi_worker
from velithon_adapters.servers.spare import Barrier, Gate, gates, keeps_spare
from velithon_adapters.servers.supervising import leaving_no_workers, set_in_handler
from velithon_adapters.servers.worker import logger

__all__ = ["check", "protocol", "serve"]

T = TypeVar("T")
Target: TypeAlias = Callable[..., None]
Pipe: TypeAlias = tuple[Connection, Connection]
"""The two ends of the pipe by which a worker says that its application has started."""

# The request line's parts, as the application's logging reads them from the record; the text itself is for others.
_ACCESS_FORMAT = '%(addr)s "%(method)s %(path)s %(protocol)s" %(status)d %(dt_ms).3fms'


# Options that Granian has by the same name.
_SAME_NAME = (
    "backpressure",
    "runtime_threads",
    "runtime_blocking_threads",
    "workers_lifetime",
    "workers_max_rss",
    "rss_sample_interval",
    "rss_samples",
)
_UNSUPPORTED = {"limit_max_requests": "use --workers-lifetime or --workers-max-rss, or --server uvicorn"}


def check(config: ServerConfig) -> None:
    """Raise `ServerError` for what Granian cannot honour."""
    if not BUILD_GIL:
        raise ServerError("granian: Python builds without the GIL are not supported; use --server uvicorn.")
    reject_unsupported(config, "granian", _UNSUPPORTED)
    for name in ("rss_sample_interval", "rss_samples"):
        if getattr(config, name) is not None and config.workers_max_rss is None:
            raise OptionError("granian", f"--{name.replace('_', '-')}", "it needs --workers-max-rss")
    if config.loop is not None and config.loop not in loops:
        available = ", ".join(sorted(loops.keys()))
        raise OptionError("granian", f"--loop {config.loop}", f"it is not installed; available are {available}")
    if config.task_impl == "rust" and sys.version_info >= (3, 12):
        raise OptionError("granian", "--task-impl rust", "it needs Python 3.11; use --task-impl asyncio")
    config.trusted_proxies()
    config.check_certificate()
    if config.ssl_keyfile_password is not None and shutil.which("openssl") is None:
        cure = "it reads encrypted keys with the help of openssl, which is not installed; use --server uvicorn"
        raise OptionError("granian", "--ssl-keyfile-password", cure)


def protocol(config: ServerConfig) -> str:
    """Return what Granian will speak, to the application and to clients, for people to read."""
    interface = "ASGI" if config.interface == "asgi" else "RSGI"
    versions = {"1": "HTTP/1", "2": "HTTP/2"}.get(config.http or "auto", "HTTP/1 and HTTP/2")
    return f"{interface}, {versions}"


def serve(config: ServerConfig, started: Started = lambda is_ready: None) -> None:
    """Serve until a signal; call `started` once the address is known and free.

    Raises:
        ServerError: The address is in use, or an option cannot be honoured.
        SystemExit: With a status that is not 0 when the application did not start or workers kept dying.
    """
    check(config)
    sock = bind(config)
    # parent and workers alike: Granian asks multiprocessing for the default method
    multiprocessing.set_start_method("spawn", force=True)
    interface: Literal["rsgi", "asgi"] = config.interface or "rsgi"
    with _decrypt_key(config) as key:
        server = _Server(sock, config, **_build_options(config, interface), ssl_key=key)
        started(server.has_any_started)
        try:
            with leaving_no_workers():
                server.serve(
                    spawn_target=rsgi_worker if interface == "rsgi" else asgi_worker,
                    target_loader=Loader(config, interface, alive=server.alive),
                    wrap_loader=False,
                )
        except FatalError as exc:
            raise ServerError(f"granian refuses the option {exc}") from exc


@contextmanager
def _decrypt_key(config: ServerConfig) -> Iterator[Path | None]:
    """A key file without a password, for as long as workers may be started.

    Granian 2.8 fails on the encrypted keys that OpenSSL writes (PBES2 with AES), and reads the file in every worker.
    The readable copy is the user's alone, and in memory where the system has a place for that.
    """
    if config.ssl_keyfile is None or config.ssl_keyfile_password is None:
        yield config.ssl_keyfile
        return
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(
        prefix="velithon-", dir=memory if os.access(memory, os.W_OK) else None
    ) as directory:
        file = Path(directory, "key.pem")
        command = ["openssl", "pkey", "-in", str(config.ssl_keyfile), "-passin", "stdin", "-out", str(file)]
        done = subprocess.run(command, input=f"{config.ssl_keyfile_password}\n", capture_output=True, text=True)
        if done.returncode:
            raise ServerError(f"openssl cannot read {config.ssl_keyfile} with that password.")
        file.chmod(0o600)
        yield file


def _build_options(config: ServerConfig, interface: Literal["rsgi", "asgi"]) -> dict[str, Any]:
    from watchfiles import Change, PythonFilter

    class SavedFiles(PythonFilter):
        def __call__(self, change: Change, path: str) -> bool:
            is_source = super().__call__(change, path)
            if is_source:
                drop_bytecode(path)
            return is_source

    options: dict[str, Any] = {
        "address": config.host,
        "port": config.port,
        "uds": config.uds,
        "interface": Interfaces(interface),
        "workers": config.workers,
        "http1_settings": HTTP1Settings(**_rename_keys(config.given("http1_"), buffer_size="max_buffer_size")),
        "http2_settings": HTTP2Settings(**config.given("http2_")),
        "log_level": LogLevels(config.log_level),
        "log_dictconfig": config.log_config,
        "log_access": config.access_log,
        "log_access_format": _ACCESS_FORMAT,
        "ssl_cert": config.ssl_certificate,
        "url_path_prefix": config.root_path or None,
        "respawn_failed_workers": config.respawn_failed_workers is not False,
        "workers_kill_timeout": config.workers_kill_timeout + math.ceil(config.shutdown_delay),
        "reload": config.reload,
        "reload_paths": [Path.cwd()],
        "reload_filter": SavedFiles,
        # a mistake in a file ends the worker, and the next change starts it again
        "reload_ignore_worker_failure": config.reload,
    }
    enums: dict[str, Callable[[str], object]] = {
        "http": HTTPModes,
        "loop": Loops,
        "runtime_mode": RuntimeModes,
        "task_impl": TaskImpl,
    }
    for name, enum in enums.items():
        if (value := getattr(config, name)) is not None:
            options[name] = enum(value)
    for name in _SAME_NAME:
        if (value := getattr(config, name)) is not None:
            options[name] = value
    return options


def _rename_keys(options: dict[str, T], **names: str) -> dict[str, T]:
    return {names.get(name, name): value for name, value in options.items()}


class _Wakeup(threading.Event):
    """What Granian's main loop waits for. It is set for good by the signal that ends the server.

    Granian clears it before it respawns workers: the signal that came a moment before would be lost.
    """

    last = False

    def end(self) -> None:
        """Set it in a signal handler."""
        self.last = True
        set_in_handler(self)

    def clear(self) -> None:
        super().clear()
        if self.last:
            self.set()


class _Server(MPServer):
    """Granian's supervisor, which keeps the listening socket and a worker that answers.

    Granian's own workers open a socket each: connections that wait in it are lost with the worker, and a port of which
    the only worker restarts refuses connections. Here it is opened once, and clients wait.

    A second signal kills the workers, and an application that cannot start ends the server, unless another worker
    serves an older version of it.

    Args:
        sock: The bound socket.
        config: The application's name, and whether a worker is kept in waiting.
        options: Granian's.
    """

    def __init__(self, sock: socket.socket, config: ServerConfig, **options: Any) -> None:
        super().__init__(config.name, **options)
        self.main_loop_interrupt: _Wakeup = _Wakeup()
        self.bound = sock
        self.spares = Spares(self) if keeps_spare(config) else None
        if self.spares is not None:
            self.on_reload(self.spares.open)
        # the first end is every worker's, by which it sees that the other one was closed: see `has_server_ended`
        self.alive, self.end_of_life = multiprocessing.Pipe(duplex=False)
        # for each worker the two ends of the pipe by which it says that its application has started
        self.pipes: dict[int, Pipe] = {}

    def _init_shared_socket(self) -> None:
        self._sso = self.bound
        self._sso.listen(self.backlog)
        self._sso.set_inheritable(True)
        self._shd: Any = SocketHolder(self._sso.fileno(), self.bind_uds is not None, self.backlog)

    def signal_handler_interrupt(self, *args: object, **kwargs: object) -> None:
        if self.interrupt_signal:
            logger.warning("Second signal, killing the workers")
            for worker in self.wrks:
                worker.inner.kill()
            return
        # Ctrl+C reaches the workers too: their end is not unexpected
        for worker in self.wrks:
            worker.interrupt_by_parent = True
        self.interrupt_signal = True
        self.end_of_life.close()
        self.main_loop_interrupt.end()

    def signal_handler_reload(self, *args: object, **kwargs: object) -> None:
        # Saved files reload the workers of a server in development: its SIGHUP is the end of its terminal.
        if self.reload_on_changes:
            self.signal_handler_interrupt()
        else:
            super().signal_handler_reload()  # type: ignore[no-untyped-call]  # Granian's has no types

    def _spawn_worker(
        self, idx: int, target: Target, callback_loader: Loader, socket_loader: object = None
    ) -> WorkerProcess:
        reader, writer = multiprocessing.Pipe(duplex=False)
        self.pipes[idx] = reader, writer
        return super()._spawn_worker(idx, target, replace(callback_loader, ready=writer))

    def spawn_spare(self, target: Target, loader: Loader, gate: Gate) -> tuple[WorkerProcess, Pipe]:
        """Return the next worker, which has been started, and its pipe."""
        reader, writer = multiprocessing.Pipe(duplex=False)
        worker = super()._spawn_worker(0, target, replace(loader, ready=writer, gate=gate))
        worker.interrupt_by_parent = True  # its end is nobody's loss
        start_silently(worker)
        return worker, (reader, writer)

    def _spawn_workers(self, spawn_target: Target, target_loader: Loader) -> None:
        taken = self.spares.take() if self.spares is not None else None
        if taken is None:
            super()._spawn_workers(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # Granian's has no types
        else:
            worker, self.pipes[0], barrier = taken
            worker.interrupt_by_parent = False
            self.wrks.append(worker)
            barrier.start()
        if self.spares is not None:
            self.spares.prepare(spawn_target, target_loader)

    def shutdown(self, exit_code: int = 0) -> None:
        self.end_of_life.close()
        if self.spares is not None:
            self.spares.close()
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]  # likewise

    def has_any_started(self) -> bool:
        """Tell whether the application of a worker has started; the socket listens before that."""
        return any(self._has_started(index) for index in list(self.pipes))

    def has_settled(self, worker: WorkerProcess) -> bool:
        """Wait a moment, and tell whether a server's only worker answers, or has ended."""
        return self._has_started(0, 0.1) or not worker.is_alive()

    def _has_started(self, index: int, timeout: float = 0) -> bool:
        return self.pipes[index][0].poll(timeout)

    def _respawn_workers(
        self, workers: Iterable[int], spawn_target: Target, target_loader: Loader, delay: float = 0
    ) -> None:
        for index in workers:
            old = self.wrks[index]
            if old.inner.exitcode == STARTUP_FAILURE:
                self.respawn_failed_workers = False
                self.interrupt_children.append(index)
                self.main_loop_interrupt.set()
                return
            if not self._replace(index, old, spawn_target, target_loader):
                return

    def _replace(self, index: int, old: WorkerProcess, spawn_target: Target, target_loader: Loader) -> bool:
        """Put a new worker in the place of one that died, or of one that goes on until the new one answers."""
        died = not old.is_alive()
        if died and not self._has_started(index):
            self.respawned_wrks[index] = time.monotonic()  # Granian ends the server for one that never starts
        logger.info("Respawning worker-%d", index + 1)
        before = self.pipes[index]
        new = self._spawn_worker(index, spawn_target, target_loader)
        new.interrupt_by_parent = not died
        new.start()
        if died:
            self.wrks[index] = new
            return True
        if not self._wait_until_ready(index, new):
            new.kill()
            new.join()
            self.pipes[index] = before
            if not self.interrupt_signal:
                logger.error("The new worker-%d did not start; the old one goes on", index + 1)
            return False
        new.interrupt_by_parent = False
        self.wrks[index] = new
        logger.info("Stopping old worker-%d", index + 1)
        old.terminate()
        old.join(self.workers_kill_timeout)
        if old.is_alive():
            logger.warning("Killing old worker-%d", index + 1)
            old.kill()
            old.join()
        return True

    def _wait_until_ready(self, index: int, worker: WorkerProcess) -> bool:
        """Wait until a worker's application has started; return false when it will not, or a signal comes first."""
        while worker.is_alive() and not self.interrupt_signal:
            if self._has_started(index, 0.1):
                return True
        return False


class Spares:
    """The worker in waiting of a server that reloads."""

    def __init__(self, server: _Server) -> None:
        self.server = server
        self.lock = threading.Lock()
        self.spare: tuple[WorkerProcess, Pipe, Barrier] | None = None
        self.barrier: Barrier | None = None  # of the worker of today: its end of the pipe stays open
        self.round = 0
        """Counts the reloads: what was begun before one is too late."""

    def open(self) -> None:
        """Let the worker import the application, while the last one stops."""
        with self.lock:
            self.round += 1
            if self.spare is not None:
                self.spare[2].open()

    def take(self) -> tuple[WorkerProcess, Pipe, Barrier] | None:
        """Return the worker that was opened, if there is one."""
        with self.lock:
            spare, self.spare = self.spare, None
        if spare is None or not spare[0].is_alive():
            return None
        self.barrier = spare[2]
        return spare

    def prepare(self, target: Target, loader: Loader) -> None:
        """Start the next worker as soon as the one of today answers, or has ended."""
        threading.Thread(target=self._prepare, args=(target, loader, self.round), daemon=True).start()

    def _prepare(self, target: Target, loader: Loader, begun: int) -> None:
        worker = self.server.wrks[0]
        while not self.server.has_settled(worker):
            if self.round != begun:
                return
        with self.lock:
            if self.round == begun and self.spare is None:
                gate, barrier = gates()
                self.spare = (*self.server.spawn_spare(target, loader, gate), barrier)
                gate.connection.close()

    def close(self) -> None:
        """End the worker in waiting."""
        with self.lock:
            self.round += 1
            spare, self.spare = self.spare, None
        if spare is not None:
            spare[0].kill()
            spare[0].join()
