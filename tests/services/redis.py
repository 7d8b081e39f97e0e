"""A Redis server of the tests' own."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.services.process import ServiceProcess


class RedisServer(ServiceProcess):
    """A `redis-server` process, which keeps its data in memory: without `--appendonly yes`, `kill()` loses it.

    Args:
        port: Its port on 127.0.0.1.
        directory: Where it keeps its files.
        options: Further options of the command.

    Attributes:
        url: Where it answers, such as `redis://127.0.0.1:20000/0`.
    """

    def __init__(self, port: int, directory: Path, options: tuple[str, ...]) -> None:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options]
        super().__init__(command, port, directory)
        self.url = f"redis://127.0.0.1:{port}/0"

    def command(self, *words: str) -> str:
        """Send a command and return the first line of its reply, such as `+OK` or `:3`."""
        with self.connect() as connection:
            encoded = [word.encode() for word in words]
            parts = [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)]
            connection.sendall(b"".join(parts))
            return connection.makefile("rb").readline().decode().strip()

    def answers(self) -> bool:
        """Whether it answers; an `OSError` says no."""
        return self.command("PING") == "+PONG"


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
