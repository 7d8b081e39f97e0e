"""A store on a Redis that is restarted, slow, full, or gone in the middle of an operation."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio

from tests.services.redis import RedisServer, redis_server
from velithon.stores import RedisStore, StoreError, StoreFullError, StoreUnavailableError

pytestmark = pytest.mark.asyncio

TIMEOUT = 0.3

Operation = Callable[[RedisStore], Awaitable[object]]


async def hold(store: RedisStore) -> None:
    """Take a lock and leave it."""
    async with store.lock("name"):
        pass


OPERATIONS: dict[str, Operation] = {
    "get": lambda store: store.get("key"),
    "get_many": lambda store: store.get_many("key", "other"),
    "set": lambda store: store.set("key", b"value", expire=60),
    "replace": lambda store: store.replace("key", b"value"),
    "delete": lambda store: store.delete("key"),
    "exists": lambda store: store.exists("key"),
    "increment": lambda store: store.increment("n", expire=60),
    "get_or_set": lambda store: store.get_or_set("made", lambda: b"value"),
    "lock": hold,
    "clear": lambda store: store.clear(),
}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server to be disturbed."""
    with redis_server() as running:
        yield running


@pytest_asyncio.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    """A store on it, empty and connected."""
    if server.process.poll() is not None:
        server.start()
    server.command("CONFIG", "SET", "maxmemory", "0")
    server.command("FLUSHALL")
    async with RedisStore(server.url, timeout=TIMEOUT) as made:
        await made.exists("key")
        yield made


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_restart_is_not_noticed(server: RedisServer, store: RedisStore, name: str) -> None:
    """Connections that the old server closed are replaced."""
    await asyncio.gather(*(store.get("key") for _ in range(5)))
    server.restart()
    if name in ("get", "get_many", "set", "replace", "exists", "clear"):
        # Asked again: the event loop has had no chance to see that the connection is closed.
        await OPERATIONS[name](store)
    await asyncio.sleep(0.05)
    await OPERATIONS[name](store)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_server_that_does_not_answer_costs_the_timeout(
    server: RedisServer, store: RedisStore, name: str
) -> None:
    """Not more, and afterwards answers still belong to their questions."""
    server.pause()
    begun = time.monotonic()
    try:
        with pytest.raises(StoreUnavailableError, match="Redis did not answer"):
            await OPERATIONS[name](store)
        assert time.monotonic() - begun < TIMEOUT + 2
    finally:
        server.resume()
    await store.set("a", b"1")
    assert await store.get_many("a", "b") == [b"1", None]


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_server_that_goes_in_the_middle(server: RedisServer, store: RedisStore, name: str) -> None:
    """The question was sent, and no answer will come."""
    server.pause()
    asking = asyncio.ensure_future(OPERATIONS[name](store))
    await asyncio.sleep(0.02)
    server.kill()
    with pytest.raises(StoreUnavailableError):
        await asking
    with pytest.raises(StoreUnavailableError, match="Redis did not answer"):
        await OPERATIONS[name](store)
    server.start()
    await OPERATIONS[name](store)


async def test_an_operation_that_is_cancelled_leaves_no_answer_behind(server: RedisServer, store: RedisStore) -> None:
    """The next one on the connection gets its own."""
    await store.set("a", b"1")
    await store.set("b", b"2")
    server.pause()
    asking = asyncio.ensure_future(store.get("a"))
    await asyncio.sleep(0.02)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    server.resume()
    assert await store.get("b") == b"2"


async def test_a_full_server_says_so(server: RedisServer, store: RedisStore) -> None:
    """Reading and removing still work."""
    await store.set("old", b"value")
    server.command("CONFIG", "SET", "maxmemory", "1")
    for operation in (
        store.set("key", b"value"),
        store.increment("n", expire=60),
        store.get_or_set("made", lambda: b"value"),
    ):
        with pytest.raises(StoreFullError, match="Redis is full"):
            await operation
    assert await store.get("old") == b"value"
    assert await store.delete("old") == 1


async def test_what_is_made_is_lost_with_the_server(server: RedisServer, store: RedisStore) -> None:
    """Gone while the value was made: the caller is told, and nothing hangs."""

    async def make() -> bytes:
        server.kill()
        return b"value"

    try:
        with pytest.raises(StoreUnavailableError):
            await store.get_or_set("key", make)
    finally:
        server.start()
    assert await store.get_or_set("key", lambda: b"again") == b"again"


async def test_a_lock_that_was_lost_is_logged(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    """What was done under it is done: the block does not fail."""
    async with store.lock("name"):
        server.restart()
    assert "The lock velithon::name:lock could not be released" in caplog.text


async def test_a_lock_outlives_its_lifetime_while_it_is_held(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is renewed; and without its process it ends."""
    monkeypatch.setattr("velithon.stores.redis._LOCK_LIFETIME", 0.3)
    async with store.lock("name"):
        await asyncio.sleep(0.5)
        assert await store.client.exists("velithon::name:lock")
    await store.client.set("velithon::name:lock", b"of a process that was killed", px=200)
    async with asyncio.timeout(5), store.lock("name"):
        pass
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_processes_compute_once(server: RedisServer, store: RedisStore) -> None:
    """As seen by stores that share nothing but the server."""
    calls = 0

    async def make() -> bytes:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.1)
        return b"value"

    async with RedisStore(server.url) as second, RedisStore(server.url) as third:
        stores = [store, second, third] * 20
        answers = await asyncio.gather(*(one.get_or_set("key", make) for one in stores))
    assert set(answers) == {b"value"}
    assert calls == 1


async def test_more_tasks_than_connections_take_turns(server: RedisServer) -> None:
    async with RedisStore(server.url, max_connections=2) as store:
        assert sorted(await asyncio.gather(*(store.increment("n") for _ in range(50)))) == list(range(1, 51))
        assert len(store._clients[asyncio.get_running_loop()].connection_pool._available_connections) <= 2


async def test_prefixes_keep_applications_apart(server: RedisServer, store: RedisStore) -> None:
    async with RedisStore(server.url, prefix="other") as other:
        await store.set("key", b"1")
        assert await other.get("key") is None
        await other.clear()
        assert await store.get("key") == b"1"


async def test_a_wrong_type_is_an_error_of_the_store(store: RedisStore) -> None:
    await store.client.rpush(store.full("key"), "item")
    with pytest.raises(StoreError, match="Redis refused: WRONGTYPE"):
        await store.get("key")


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://127.0.0.1:port/0"])
async def test_a_url_is_checked_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="URL|port|Port"):
        RedisStore(url)
