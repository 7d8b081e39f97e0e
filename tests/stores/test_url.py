"""Stores by URL, and the application's store."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest

from tests.conftest import ClientFactory
from velithon import Depends, Velithon
from velithon.di import Provide, ServiceContainer, SingletonProvider
from velithon.stores import FileStore, MemoryStore, RedisStore, Store, get_store, store_from_url


class Recorded(MemoryStore):
    """A store that counts how often it was closed."""

    closed = 0

    async def aclose(self) -> None:
        """Count."""
        self.closed += 1


def test_urls_name_stores(tmp_path: Path) -> None:
    memory = store_from_url("memory://?max_entries=2")
    assert isinstance(memory, MemoryStore)
    assert memory._memory.max_entries == 2
    files = store_from_url(f"file://{tmp_path}/a%20b")
    assert isinstance(files, FileStore)
    assert files.directory == tmp_path / "a b"
    for scheme in ("redis", "rediss", "valkey", "valkeys"):
        assert isinstance(store_from_url(f"{scheme}://localhost:6379/3"), RedisStore)
    assert isinstance(store_from_url("unix:///run/redis.sock"), RedisStore)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgres://localhost", "No store has the URL 'postgres://localhost'; known are memory://, file://, redis://"),
        ("localhost:6379", "No store has the URL"),
        ("memory://?entries=3", "an option that does not exist"),
    ],
)
def test_other_urls_are_refused(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        store_from_url(url)


def test_a_missing_client_says_what_to_install() -> None:
    source = """
import sys
sys.modules["redis"] = None
from velithon.stores import store_from_url
try:
    store_from_url("redis://localhost")
except ImportError as exc:
    print(exc)
"""
    output = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert "pip install 'velithon[redis]'" in output


def test_an_application_has_a_store(client: ClientFactory) -> None:
    """In memory by default; endpoints ask for it by a dependency, and it is closed at shutdown."""
    app = Velithon()
    assert isinstance(app.store, MemoryStore)
    app.store = store = Recorded()

    @app.get("/count")
    async def count(store: Annotated[Store, Depends(get_store)]) -> int:
        return await store.increment("n")

    with client(app) as caller:
        assert [caller.get("/count").json() for _ in range(3)] == [1, 2, 3]
        assert store.closed == 0
    assert store.closed == 1


def test_an_application_takes_a_url(client: ClientFactory, redis_url: str) -> None:
    """Its connections are closed with it, and it may run again."""
    app = Velithon(store=redis_url)

    @app.get("/count")
    async def count(store: Annotated[Store, Depends(get_store)]) -> int:
        return await store.increment("n")

    for expected in (1, 2):
        with client(app) as caller:
            assert caller.get("/count").json() == expected


def test_other_stores_are_closed_too(client: ClientFactory) -> None:
    app = Velithon()
    store = Recorded()
    app.register_store(store)
    app.register_store(store)
    with client(app):
        pass
    assert store.closed == 1


def test_a_store_is_a_service_like_any_other(client: ClientFactory, redis_url: str) -> None:
    """A container makes and closes it; so does a dependency that lives as long as the application."""
    closed = 0

    class Counted(MemoryStore):
        async def aclose(self) -> None:
            nonlocal closed
            closed += 1

    class Container(ServiceContainer):
        store = SingletonProvider(store_from_url, redis_url)
        recorded = SingletonProvider(Counted)

    container = Container()
    app = Velithon()
    app.register_container(container)

    @app.get("/count")
    async def count(store: Store = Provide[container.store], recorded: Store = Provide[container.recorded]) -> int:
        return await store.increment("n") + await recorded.increment("n")

    with client(app) as caller:
        assert caller.get("/count").json() == 2
    assert closed == 1
