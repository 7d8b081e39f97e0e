"""A RabbitMQ server of the tests' own."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.services.process import ServiceProcess


class RabbitMQServer(ServiceProcess):
    """A RabbitMQ broker, which is an Erlang node with a name, a cookie and a directory of its own.

    Args:
        port: Its port on 127.0.0.1.
        distribution_port: The port by which Erlang nodes talk to each other; nobody uses it.
        directory: Where it keeps its files.

    Attributes:
        url: Where it answers, such as `amqp://guest:guest@127.0.0.1:20000/`.
    """

    def __init__(self, port: int, distribution_port: int, directory: Path) -> None:
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/"
        (directory / "enabled_plugins").write_text("[].")
        cookie = directory / ".erlang.cookie"
        cookie.write_text("velithon")
        cookie.chmod(0o400)
        environment = {
            "HOME": str(directory),
            "RABBITMQ_NODENAME": f"velithon-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
            "RABBITMQ_LOGS": "-",
            # Two busy cores are not made quicker by threads that spin.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        super().__init__([_command()], port, directory, environment, deadline=60.0)

    def answers(self) -> bool:
        """Whether it greets a client of AMQP 0-9-1; an `OSError` says no."""
        with self.connect() as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"


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
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="velithon-rabbitmq-"))
        server = RabbitMQServer(stack.enter_context(free_port()), stack.enter_context(free_port()), Path(name))
        server.start()
        try:
            yield server
        finally:
            server.kill()
