"""A NATS server of the tests' own, with JetStream."""

import shutil
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


@contextmanager
def nats_server() -> Generator[str, None, None]:
    """Run a NATS server that ends with the block; skip the test where it is not installed.

    Yields:
        Its URL, such as `nats://127.0.0.1:20000`.
    """
    command = shutil.which("nats-server")
    if command is None:
        pytest.skip("nats-server is not installed: apt-get install nats-server")
    with tempfile.TemporaryDirectory(prefix="velithon-nats-") as name, free_port() as port:
        log = Path(name) / "nats.log"
        process = subprocess.Popen(
            [command, "--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", name, "--log", str(log)]
        )
        try:
            deadline = time.monotonic() + _DEADLINE
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"nats-server did not start:\n{log.read_text() if log.exists() else ''}")
                time.sleep(0.01)
            yield f"nats://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait(_DEADLINE)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"INFO"
    except OSError:
        return False
