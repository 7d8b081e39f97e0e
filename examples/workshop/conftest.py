"""What the tests share: a client on each protocol, with an empty database of its own."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from velithon.testclient import ProtocolName, TestClient

from workshop import accounts
from workshop.database import get_engine
from workshop.main import app
from workshop.settings import get_settings

PASSWORD = "correct horse battery"


@pytest.fixture(params=["rsgi", "asgi"])
def client(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of the application, in which there is one mechanic: grace."""
    monkeypatch.setenv("WORKSHOP_SECRET_KEY", "only for tests, 32 bytes or more")
    monkeypatch.setenv("WORKSHOP_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/test.db")
    get_settings.cache_clear()
    get_engine.cache_clear()
    # The cheapest hash that there is: these tests are not about its strength.
    monkeypatch.setattr(accounts, "hasher", PasswordHash([Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)]))
    accounts.nobodys_hash.cache_clear()
    asyncio.run(accounts.add_mechanic("grace", PASSWORD))
    protocol: ProtocolName = request.param
    with TestClient(app, protocol=protocol) as client:
        yield client


@pytest.fixture
def mechanic(client: TestClient) -> TestClient:
    """The client, logged in."""
    client.headers["authorization"] = f"Bearer {log_in(client)}"
    return client


def log_in(client: TestClient) -> str:
    """Return a token."""
    answer = client.post("/token", data={"username": "grace", "password": PASSWORD})
    token: str = answer.json()["access_token"]
    return token
