"""A Redis server of the tests' own."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import free_port

_DEADLINE = 10.0


class RedisServer:
    """A `redis-server` process.

    Args:
        port: Its port on 127.0.0.1.
        directory: Where it keeps its files.
        options: Further options of the command.

    Attributes:
        url: Where it answers, such as `redis://127.0.0.1:20000/0`.
    """

    def __init__(self, port: int, directory: Path, options: tuple[str, ...]) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Return its process."""
        assert self._process is not None, "the server was not started"
        return self._process

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *self._options],
                cwd=self._directory,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _DEADLINE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"redis-server did not start:\n{(self._directory / 'redis.log').read_text()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a power cut does; without `--appendonly yes` its data is gone."""
        self.process.kill()
        self.process.wait(_DEADLINE)

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

    def command(self, *words: str) -> str:
        """Send a command and return the first line of its reply, such as `+OK` or `:3`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=_DEADLINE) as connection:
            encoded = [word.encode() for word in words]
            parts = [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)]
            connection.sendall(b"".join(parts))
            return connection.makefile("rb").readline().decode().strip()

    def _answers(self) -> bool:
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False


@contextmanager
def redis_server(*options: str) -> Generator[RedisServer, None, None]:
    """Run a Redis server that ends with the block; skip the test where it is not installed.

    Args:
        options: Further options of the command, such as `"--maxmemory", "1mb"`.

    Yields:
        The running server.
    """
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    with tempfile.TemporaryDirectory(prefix="velithon-redis-") as name, free_port() as port:
        server = RedisServer(port, Path(name), options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
