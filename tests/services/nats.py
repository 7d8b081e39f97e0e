"""A NATS server of the tests' own, with JetStream."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.services.process import ServiceProcess


class NatsServer(ServiceProcess):
    """A `nats-server` process.

    Args:
        port: Its port on 127.0.0.1.
        directory: Where it keeps its files.
    """

    def __init__(self, port: int, directory: Path) -> None:
        command = ["nats-server", "--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir"]
        super().__init__([*command, str(directory)], port, directory)

    def answers(self) -> bool:
        """Whether it greets a client; an `OSError` says no."""
        with self.connect() as connection:
            return connection.recv(4) == b"INFO"


@contextmanager
def nats_server() -> Generator[str, None, None]:
    """Run a NATS server that ends with the block; skip the test where it is not installed.

    Yields:
        Its URL, such as `nats://127.0.0.1:20000`.
    """
    if shutil.which("nats-server") is None:
        pytest.skip("nats-server is not installed: apt-get install nats-server")
    with tempfile.TemporaryDirectory(prefix="velithon-nats-") as name, free_port() as port:
        server = NatsServer(port, Path(name))
        server.start()
        try:
            yield f"nats://127.0.0.1:{port}"
        finally:
            server.kill()
