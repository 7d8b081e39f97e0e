"""A RabbitMQ server of the tests' own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.servers import free_port

_DEADLINE = 60.0


class RabbitMQServer:
    """A RabbitMQ broker, which is an Erlang node with a name, a cookie and a directory of its own.

    Args:
        port: Its port on 127.0.0.1.
        distribution_port: The port by which Erlang nodes talk to each other; nobody uses it.
        directory: Where it keeps its files.

    Attributes:
        url: Where it answers, such as `amqp://guest:guest@127.0.0.1:20000/`.
    """

    def __init__(self, port: int, distribution_port: int, directory: Path) -> None:
        self.port = port
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/"
        self._directory = directory
        self._distribution_port = distribution_port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Return its process."""
        assert self._process is not None, "the server was not started"
        return self._process

    def start(self) -> None:
        """Start it, and wait until it answers."""
        (self._directory / "enabled_plugins").write_text("[].")
        cookie = self._directory / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text("velithon")
            cookie.chmod(0o400)
        environment = {
            **os.environ,
            "HOME": str(self._directory),
            "RABBITMQ_NODENAME": f"velithon-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self._directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._directory / "log"),
            "RABBITMQ_PID_FILE": str(self._directory / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._directory / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self._directory / "rabbitmq"),
            "RABBITMQ_LOGS": "-",
            # Two busy cores are not made quicker by threads that spin.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        with (self._directory / "rabbitmq.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_command()], cwd=self._directory, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _DEADLINE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start:\n{(self._directory / 'rabbitmq.log').read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it, and all the processes that it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(_DEADLINE)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False


def _command() -> str:
    """Return the server itself: Debian's command in the path changes to a user of its own."""
    inner = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    found = str(inner) if inner.exists() else shutil.which("rabbitmq-server")
    if found is None:
        pytest.skip("rabbitmq-server is not installed: apt-get install rabbitmq-server")
    return found


@contextmanager
def rabbitmq_server() -> Generator[RabbitMQServer, None, None]:
    """Run a RabbitMQ server that ends with the block; skip the test where it is not installed.

    Yields:
        The running server.
    """
    _command()
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="velithon-rabbitmq-"))
        server = RabbitMQServer(stack.enter_context(free_port()), stack.enter_context(free_port()), Path(name))
        server.start()
        try:
            yield server
        finally:
            server.kill()
