"""What all tests share: the two protocols, and clients for them."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol, cast

import pytest

from tests.effort import FULL
from tests.services.redis import RedisServer, redis_server
from velithon.testclient import AsyncTestClient, ProtocolName, TestClient


class ClientFactory(Protocol):
    """Makes a client for an application, over the protocol that the test runs on."""

    def __call__(self, app: Any, **options: Any) -> TestClient:
        """Return the client; the options are `TestClient`'s."""
        ...


class AsyncClientFactory(Protocol):
    """Makes a client for an `async def` test, over the protocol that the test runs on."""

    def __call__(self, app: Any, **options: Any) -> AsyncTestClient:
        """Return the client; the options are `AsyncTestClient`'s."""
        ...


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors: much of the time is spent waiting for servers to start and stop."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give generated and counted tests an hour where they do everything."""
    if FULL:
        for item in items:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(params=["asgi", "rsgi"])
def protocol(request: pytest.FixtureRequest) -> ProtocolName:
    """The protocol that the test runs on: each test that asks for it, or for a client, runs on both."""
    return cast("ProtocolName", request.param)


@pytest.fixture
def client(protocol: ProtocolName) -> ClientFactory:
    """A factory of clients: `client(app)` gives a `TestClient`."""
    return partial(TestClient, protocol=protocol)


@pytest.fixture
def async_client(protocol: ProtocolName) -> AsyncClientFactory:
    """A factory of clients for `async def` tests: `async with async_client(app) as client`."""
    return partial(AsyncTestClient, protocol=protocol)


@pytest.fixture
def anyio_backend() -> str:
    """RSGI runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """A Redis server for all the tests of this process; those that disturb it start one of their own."""
    with redis_server() as server:
        yield server


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """The URL of an empty Redis server."""
    shared_redis.command("FLUSHALL")
    return shared_redis.url
