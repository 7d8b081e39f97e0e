"""`velithon run` as a process, also where it listens on no port or is meant to fail."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import until

__all__ = ["ROOT", "Run", "listening", "velithon_run"]

ROOT = Path(__file__).resolve().parents[2]
_PATH = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])


@dataclass(frozen=True, slots=True)
class Run:
    """A process of `velithon run`.

    Attributes:
        process: The process that was started.
        output: The file with its standard output and error.
    """

    process: "subprocess.Popen[bytes]"
    output: Path

    @property
    def text(self) -> str:
        """Return what the process has written so far."""
        return self.output.read_text(errors="replace")

    @property
    def port(self) -> int:
        """Return the port that the process says it listens on."""
        return int(re.findall(r"https?://[^\s\"]*?:(\d+)", self.text)[0])

    def wait(self, seconds: float = 30) -> int:
        """Wait for the end of the process and return its status."""
        return self.process.wait(seconds)


def listening(port: int) -> bool:
    """Whether somebody takes connections on a port of this machine; an `OSError` says no."""
    socket.create_connection(("localhost", port), timeout=5).close()
    return True


@contextmanager
def velithon_run(
    directory: Path, *arguments: str, workers: int = 1, wait: bool = True, env: Mapping[str, str] | None = None
) -> Iterator[Run]:
    """Run `velithon run` in `directory`, on a free port unless the arguments say otherwise.

    Args:
        directory: The working directory, where the application's module is.
        arguments: The arguments after `run`.
        workers: How many workers are to be ready before the process is handed over.
        wait: Whether to wait for them; not where the process is to fail.
        env: Environment variables added to this process's.

    Yields:
        The running process. At the end it is told to end, and what is left of its group is killed.
    """
    port = [] if "--uds" in arguments or "--port" in arguments else ["--port", "0"]
    output = directory / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "velithon", "run", *arguments, *port],
            stdout=file,
            stderr=file,
            cwd=directory,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": _PATH, **(env or {})},
            start_new_session=True,
        )
    run = Run(process, output)
    try:
        if wait:
            ready = re.compile(r"Started worker-\d+(?! runtime)|Application startup complete")
            until(lambda: process.poll() is not None or len(ready.findall(run.text)) >= workers, "the server is ready")
            assert process.poll() is None, run.text
            if "--uds" not in arguments:
                # Uvicorn says that it is ready a moment before it listens.
                until(lambda: listening(run.port), "the port is open")
        yield run
    except BaseException as exc:
        exc.add_note(run.text)
        raise
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            pass  # the tests that expect an end wait for it themselves
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
