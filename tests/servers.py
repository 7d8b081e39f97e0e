"""Real server processes for tests: started on a free loopback port, spoken to over a socket, ended by their id."""

import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from tests.effort import variants

ServerName = Literal["granian-rsgi", "granian-asgi", "uvicorn"]

# Where servers differ from each other: in how they begin, end, break off and shake hands.
EVERY_SERVER: tuple[ServerName, ...] = ("granian-rsgi", "granian-asgi", "uvicorn")
# Where they only carry what the application says: one of each protocol by default.
SERVERS: tuple[ServerName, ...] = variants(("granian-rsgi", "uvicorn"), EVERY_SERVER)

# The supervising process would import the application once more, to tell a mistake at once: a quarter of a second of
# processor time for each server.
_ONE_IMPORT = {"VELITHON_CHECK_IMPORT": "false"}
_ROOT = Path(__file__).resolve().parent.parent
# below the range that the kernel gives to outgoing connections
_PORTS = range(20_000, 30_000)
_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
# what each server logs when it takes requests, on its default log level
_READY = {"granian": "Started worker-1", "uvicorn": "Application startup complete"}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        url: Where it answers, without a slash at the end.
        port: Its port on 127.0.0.1.
        process: Its main process.
        log_file: Where its output goes.
    """

    url: str
    port: int
    process: "subprocess.Popen[bytes]"
    log_file: Path

    @property
    def log(self) -> str:
        """Return everything that the server has written."""
        return self.log_file.read_text(errors="replace")


@contextmanager
def serve(
    app: str,
    server: ServerName = "granian-rsgi",
    *options: str,
    direct: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    port: int | None = None,
    start_seconds: float = _START_SECONDS,
) -> Generator[Server, None, None]:
    """Run an application on a real server.

    Args:
        app: `module:attribute`, or the source of a module whose `app` is the application.
        server: Which server, in which mode.
        options: Further options of the command.
        direct: Start Granian or Uvicorn by its own command, not through `velithon run`.
        env: Environment variables added to this process's.
        cwd: The server's working directory; by default an empty one of its own.
        port: One that `free_port` has reserved, for an application that has to know it; by default a free one.
        start_seconds: How long it may take to start.

    Yields:
        The running server, when it takes connections.

    Raises:
        RuntimeError: It did not start, or it did not end on SIGTERM.
    """
    reserved = free_port() if port is None else nullcontext(port)
    with tempfile.TemporaryDirectory(prefix="velithon-") as name, reserved as port:
        directory = Path(name)
        target = app
        if "\n" in app:
            (directory / "main_under_test.py").write_text(app)
            target = "main_under_test:app"
        log_file = directory / "server.log"
        path = os.pathsep.join([str(directory), str(_ROOT), str(_ROOT / "adapters")])
        with (
            log_file.open("wb") as log,
            _process(
                [*_command(target, server, port, direct), *options],
                log,
                {**os.environ, **_ONE_IMPORT, **(env or {}), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
                cwd or directory,
            ) as process,
        ):
            running = Server(f"http://127.0.0.1:{port}", port, process, log_file)
            try:
                _wait(running, server, options, start_seconds)
                yield running
            except BaseException as error:
                error.add_note(f"The server's output:\n{running.log}")
                raise


def _command(target: str, server: ServerName, port: int, direct: bool) -> list[str]:
    bind = ["--host", "127.0.0.1", "--port", str(port)]
    if not direct:
        kind, _, interface = server.partition("-")
        mode = ["--interface", interface] if interface else []
        return [sys.executable, "-m", "velithon", "run", "--app", target, "--server", kind, *mode, *bind]
    if server == "uvicorn":
        return [sys.executable, "-m", "uvicorn", target, *bind]
    return [sys.executable, "-m", "granian", "--interface", server.removeprefix("granian-"), *bind, target]


@contextmanager
def _process(
    command: list[str], log: IO[bytes], env: Mapping[str, str], cwd: Path
) -> Generator["subprocess.Popen[bytes]", None, None]:
    """Start a command in a session of its own; end it with SIGTERM, and what does not end by its group."""
    process = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=cwd, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise RuntimeError(f"the server did not end within {_STOP_SECONDS:.0f} s of SIGTERM") from None


def _wait(running: Server, server: ServerName, options: tuple[str, ...], seconds: float) -> None:
    """Wait for the line that the server logs when it is ready, and for its socket."""
    quiet = any(option.startswith(("--log", "--no-log")) for option in options)
    ready = "" if quiet else _READY[server.partition("-")[0]]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise RuntimeError(f"the server ended with status {running.process.returncode}")
        if ready in running.log and _accepts(running.port):
            return
        time.sleep(0.02)
    raise RuntimeError(f"the server was not ready within {seconds:.0f} s")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def free_port() -> Generator[int, None, None]:
    """Reserve a port by a lock file, for as long as the server runs.

    Granian binds with SO_REUSEPORT: two servers of concurrent test runs could share a port that was only probed.
    """
    directory = Path(tempfile.gettempdir()) / "velithon-test-ports"
    directory.mkdir(exist_ok=True)
    for port in random.sample(_PORTS, 200):
        with (directory / str(port)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield port
            return
    raise RuntimeError("no free port was found")
