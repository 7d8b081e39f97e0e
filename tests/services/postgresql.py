"""A PostgreSQL server of the tests' own."""

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import free_port

_DEADLINE = 30.0
# Nothing of a test outlives it, so nothing has to reach the disk.
_UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB")


class PostgreSQL:
    """A server process with one superuser, `velithon`, who needs no password.

    Args:
        port: Its port on 127.0.0.1.
        directory: Where it keeps its files.
        binaries: Where its programs are.
        max_connections: How many clients it takes.

    Attributes:
        address: `127.0.0.1:port/postgres`, for URLs.
    """

    def __init__(self, port: int, directory: Path, binaries: Path, max_connections: int) -> None:
        self.port = port
        self.address = f"127.0.0.1:{port}/postgres"
        self._directory = directory
        self._max_connections = max_connections
        self._binaries = binaries
        # It refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else getpass.getuser()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, driver: str) -> str:
        """Return the URL for SQLAlchemy, such as with the driver `asyncpg`."""
        return f"postgresql+{driver}://velithon@{self.address}"

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self._binaries / name), *arguments]
        done = subprocess.run(command, user=self._user, cwd=self._directory, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} failed:\n{done.stderr.decode()}")

    def start(self) -> None:
        """Start it, making its files at the first time, and wait until it answers."""
        data = self._directory / "data"
        if not data.exists():
            shutil.chown(self._directory, self._user)
            self._run(
                "initdb", "-D", str(data), "-U", "velithon", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"
            )
        options = [f"-c{option}" for option in (*_UNSAFE, f"unix_socket_directories={self._directory}")]
        options.append(f"-cmax_connections={self._max_connections}")
        with (self._directory / "log").open("ab") as log:
            command = [
                str(self._binaries / "postgres"),
                "-D",
                str(data),
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                *options,
            ]
            self._process = subprocess.Popen(command, user=self._user, cwd=self._directory, stdout=log, stderr=log)
        deadline = time.monotonic() + _DEADLINE
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "velithon"]
        while subprocess.run(ready, cwd=self._directory, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"postgres did not start:\n{(self._directory / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once; clients that are connected are cut off."""
        assert self._process is not None, "the server was not started"
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(_DEADLINE)


def _binaries() -> Path | None:
    debians = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if debians is None and on_path is not None else debians


@contextmanager
def postgresql(max_connections: int = 50) -> Generator[PostgreSQL, None, None]:
    """Run a PostgreSQL server that ends with the block; skip the test where it is not installed.

    Args:
        max_connections: How many clients it takes.

    Yields:
        The running server.
    """
    binaries = _binaries()
    if binaries is None or not (binaries / "initdb").exists():
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="velithon-postgresql-") as name, free_port() as port:
        server = PostgreSQL(port, Path(name), binaries, max_connections)
        server.start()
        try:
            yield server
        finally:
            server.stop()
