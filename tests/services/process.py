"""A service that tests start, kill and start again, as a process of its own."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.waiting import until


class ServiceProcess:
    """A process that answers on a port of 127.0.0.1 and keeps its files in a directory.

    Args:
        command: The program and its arguments.
        port: Its port.
        directory: Where it keeps its files and its log.
        environment: Environment variables added to this process's.
        deadline: How many seconds it may take to start, or to end.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        deadline: float = 10.0,
    ) -> None:
        self.port = port
        self.directory = directory
        self.deadline = deadline
        self._command = command
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Return the process."""
        assert self._process is not None, "the service was not started"
        return self._process

    @property
    def log(self) -> str:
        """Return everything that the service has written."""
        return (self.directory / "service.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            RuntimeError: It ended instead, with its log.
            AssertionError: It did not answer within the deadline.
        """
        with (self.directory / "service.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.directory,
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._answers_or_ended, f"{self._command[0]} answers", self.deadline)

    def kill(self) -> None:
        """End it, and all the processes that it has started, as a power cut does."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(self.deadline)

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Let it answer nothing until `resume()`; connections stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)

    def connect(self) -> socket.socket:
        """Return a connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=self.deadline)

    def answers(self) -> bool:
        """Whether it answers; an `OSError` says no."""
        raise NotImplementedError

    def _answers_or_ended(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"{self._command[0]} ended with {self.process.returncode}:\n{self.log}")
        return self.answers()
