"""What all tests share: the two protocols, and clients for them."""

from functools import partial
from typing import Any, Protocol, cast

import pytest

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
