"""Brokers for the tests of jobs, one of each kind for a test process."""

from collections.abc import Iterator

import pytest

from tests.services.nats import nats_server
from tests.services.rabbitmq import rabbitmq_server


@pytest.fixture(scope="session")
def shared_amqp() -> Iterator[str]:
    """The URL of a RabbitMQ server."""
    with rabbitmq_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def shared_nats() -> Iterator[str]:
    """The URL of a NATS server."""
    with nats_server() as url:
        yield url
