"""The supervising processes of Uvicorn: of several workers, and of one that reloads.

Uvicorn waits without an end for its workers, and its own workers neither take the connections that wait nor end in
time: here both do, within `workers_kill_timeout`.
"""

from __future__ import annotations

import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process
from uvicorn.supervisors.watchfilesreload import WatchFilesReload

from velithon_adapters._compat.uvicorn import get_subprocess
from velithon_adapters.servers.bytecode import drop_bytecode
from velithon_adapters.servers.config import STARTUP_FAILURE, ServerConfig
from velithon_adapters.servers.spare import Barrier, gates, keeps_spare
from velithon_adapters.servers.supervising import set_in_handler
from velithon_adapters.servers.uvicorn_worker import Loader, Server
from velithon_adapters.servers.worker import logger

__all__ = ["Reload", "Supervisor"]

_FOREVER: Final = 10**9  # seconds
# How many workers in a row may end before one of them has started.
_ATTEMPTS: Final = 5


class _Worker(Process):
    """A worker process that runs our server; Uvicorn's own runs Uvicorn's."""

    def __init__(self, options: uvicorn.Config, sockets: list[socket.socket], config: ServerConfig) -> None:
        super().__init__(options, sockets)
        self.settings = config
        self.asked: float | None = None
        """When it was asked whether it lives, and has not answered since."""
        self.has_answered = False
        self.has_started = False

    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = Server(self.config, self.settings)
        assert isinstance(self._server, Server)
        return self._server

    def is_hung(self, timeout: float) -> bool:
        """Ask whether it lives, without waiting, and tell whether an answer is overdue.

        A worker that has never answered still imports, and may take its time.

        Args:
            timeout: Seconds for an answer.
        """
        while self.parent_conn.poll():
            self.has_started = bool(self.parent_conn.recv())
            self.has_answered, self.asked = True, None
        if self.asked is None:
            self.parent_conn.send(b"ping")
            self.asked = time.monotonic()
        return self.has_answered and time.monotonic() > self.asked + timeout


class Supervisor(Multiprocess):
    """Uvicorn's supervisor of workers, with respawning as an option.

    It is bounded in time, and a second signal kills.

    Args:
        options: Uvicorn's.
        sockets: The listening socket.
        config: Ours.
    """

    def __init__(self, options: uvicorn.Config, sockets: list[socket.socket], config: ServerConfig) -> None:
        super().__init__(options, sockets)
        self.processes: list[_Worker] = []  # type: ignore[assignment]  # of our class
        self.end_of_life = _tell_workers(options)
        self.settings = config
        self.signalled = False
        self.failed = False
        self.failed_starts = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        if (hangup := getattr(signal, "SIGHUP", None)) is not None:  # not on Windows
            signal.signal(hangup, lambda *_: self.signal_queue.append(hangup))

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        if self.signalled:
            _kill([process.process for process in self.processes])
        self.signalled = True
        set_in_handler(self.should_exit)

    def _make_worker(self) -> _Worker:
        worker = _Worker(self.config, self.sockets, self.settings)
        worker.start()
        return worker

    def init_processes(self) -> None:
        for _ in range(self.processes_num):
            if self.signalled:
                return
            self.processes.append(self._make_worker())

    def handle_ttin(self) -> None:
        self.processes_num += 1
        self.processes.append(self._make_worker())

    def restart_all(self) -> None:
        """Replace one worker after the other.

        Each answers until the next one does, however long that takes.
        """
        for index, old in enumerate(self.processes):
            new = self._make_worker()
            if not new.wait_until_ready(_FOREVER, self.should_exit):
                new.kill()
                new.join()
                if not self.should_exit.is_set():
                    logger.error("The new worker %s did not start; the old one goes on", new.pid)
                return
            old.terminate()
            _join([old.process], self.settings.workers_kill_timeout)
            self.processes[index] = new

    def terminate_all(self) -> None:
        _stop_listening(self.end_of_life, self.sockets)
        super().terminate_all()

    def join_all(self) -> None:
        timeout = self.settings.workers_kill_timeout + self.settings.shutdown_delay
        _join([process.process for process in self.processes], timeout)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died, and those that do not answer any more."""
        timeout = self.config.timeout_worker_healthcheck
        for index, worker in enumerate(self.processes):
            if self.should_exit.is_set():
                break
            if worker.process.exitcode is not None or worker.is_hung(timeout):
                self._replace(index, worker)
        if any(worker.has_started for worker in self.processes):
            self.failed_starts = 0
        self.failed = self.should_exit.is_set() and not self.signalled

    def _replace(self, index: int, worker: _Worker) -> None:
        worker.kill()
        worker.process.join()
        status = worker.exitcode
        if status and not worker.has_started:
            self.failed_starts += 1
        if (
            self.settings.respawn_failed_workers is False
            or status == STARTUP_FAILURE
            or self.failed_starts >= _ATTEMPTS
        ):
            logger.error("Worker %s ended with status %s, stopping", worker.pid, status)
            self.should_exit.set()
        else:
            logger.info("Worker %s ended with status %s, starting another", worker.pid, status)
            self.processes[index] = self._make_worker()


class Reload(WatchFilesReload):
    """Uvicorn's reloader, with the next worker in waiting.

    It is bounded in time, and a second signal kills.
    """

    def __init__(
        self, options: uvicorn.Config, target: Callable[..., None], sockets: list[socket.socket], settings: ServerConfig
    ) -> None:
        super().__init__(options, target, sockets)
        self.end_of_life = _tell_workers(options)
        self.settings = settings
        self.timeout = settings.workers_kill_timeout
        self.signalled = False
        self.keeps_spare = keeps_spare(settings)
        self.lock = threading.Lock()
        self.spare: tuple[SpawnProcess, Barrier] | None = None

    def signal_handler(self, sig: int, frame: FrameType | None) -> None:
        if self.signalled and hasattr(self, "process"):
            _kill([self.process])
        self.signalled = True
        set_in_handler(self.should_exit)

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
        assert isinstance(loader, Loader)
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

    def should_restart(self) -> list[Path] | None:
        changed = super().should_restart()
        for path in changed or ():
            drop_bytecode(path)
        return changed

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
        _stop_listening(self.end_of_life, self.sockets)
        with self.lock:
            if self.spare is not None:
                _kill([self.spare[0]], silently=True)
        self._end_worker()
        super().shutdown()

    def _end_worker(self) -> None:
        self.process.terminate()
        _join([self.process], self.timeout)


def _tell_workers(options: uvicorn.Config) -> Connection:
    """Give workers one end of the pipe of `has_server_ended`, and return the other."""
    loader = options.app
    assert isinstance(loader, Loader)
    loader.alive, end_of_life = multiprocessing.Pipe(duplex=False)
    return end_of_life


def _stop_listening(end_of_life: Connection, sockets: list[socket.socket]) -> None:
    """Leave the sockets to the workers; what the kernel took for ours later, nobody would answer."""
    end_of_life.close()
    for sock in sockets:
        sock.close()


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
