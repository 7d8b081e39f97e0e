"""What every store does, on every store."""

import asyncio

import pytest

from tests.waiting import until_async
from velithon.stores import Store

pytestmark = pytest.mark.asyncio


async def test_values_come_back_as_they_were(store: Store) -> None:
    """Every byte, the empty value, and keys in any script."""
    values = {"empty": b"", "bytes": bytes(range(256)), "ключ/日本 \n": b"x" * 100_000}
    for key, value in values.items():
        await store.set(key, value)
    assert {key: await store.get(key) for key in values} == values
    assert await store.get_many("bytes", "nothing", "empty") == [values["bytes"], None, b""]
    assert await store.get_many() == []


async def test_what_is_not_there(store: Store) -> None:
    assert await store.get("key") is None
    assert await store.exists("key") is False
    assert await store.delete("key") == 0
    assert await store.delete() == 0


async def test_a_value_takes_the_place_of_the_one_before(store: Store) -> None:
    """With its lifetime: a new value without one stays."""
    await store.set("key", b"old", expire=0.05)
    await store.set("key", b"new")
    await asyncio.sleep(0.08)
    assert await store.get("key") == b"new"


async def test_only_what_is_there_is_replaced(store: Store) -> None:
    """With its new lifetime; what was deleted, or has expired, does not come back."""
    assert await store.replace("key", b"new") is False
    assert await store.exists("key") is False
    await store.set("key", b"old")
    assert await store.replace("key", b"new", expire=0.1) is True
    assert await store.get("key") == b"new"

    async def gone() -> bool:
        return await store.replace("key", b"again", expire=0.1) is False

    await asyncio.sleep(0.12)
    await until_async(gone)
    await store.set("key", b"old")
    await store.delete("key")
    assert await store.replace("key", b"new") is False


async def test_delete_counts_what_was_there(store: Store) -> None:
    await store.set("a", b"1")
    await store.set("b", b"")
    assert await store.delete("a", "b", "c") == 2
    assert await store.exists("b") is False


async def test_values_expire(store: Store) -> None:
    await store.set("short", b"1", expire=0.2)
    await store.set("long", b"1", expire=60)
    assert await store.exists("short")

    async def gone() -> bool:
        return not await store.exists("short")

    await until_async(gone)
    assert await store.get("short") is None
    assert await store.delete("short") == 0
    assert await store.get("long") == b"1"


@pytest.mark.parametrize("expire", [0, -1, float("nan")])
async def test_a_lifetime_is_more_than_nothing(store: Store, expire: float) -> None:
    with pytest.raises(ValueError, match="expire must be more than 0 seconds"):
        await store.set("key", b"1", expire=expire)
    with pytest.raises(ValueError, match="expire must be more than 0 seconds"):
        await store.increment("key", expire=expire)


async def test_what_is_no_key_and_no_value(store: Store) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        await store.get("")
    with pytest.raises(TypeError, match="must be a str, not bytes"):
        await store.get(b"key")  # type: ignore[arg-type] # the mistake
    with pytest.raises(TypeError, match="A store keeps bytes, not str"):
        await store.set("key", "text")  # type: ignore[arg-type] # the mistake


async def test_other_buffers_become_bytes(store: Store) -> None:
    buffer = bytearray(b"value")
    await store.set("key", buffer)  # type: ignore[arg-type] # taken, but not promised
    buffer.clear()
    assert await store.get("key") == b"value"


async def test_numbers_begin_at_nought(store: Store) -> None:
    assert await store.increment("n") == 1
    assert await store.increment("n", 10) == 11
    assert await store.increment("n", -12) == -1
    assert await store.get("n") == b"-1"
    await store.set("n", b"41")
    assert await store.increment("n") == 42


async def test_a_number_lives_from_its_beginning(store: Store) -> None:
    """Later increments do not extend it: a window of time ends."""
    await store.increment("n", expire=0.3)

    async def began_again() -> bool:
        return await store.increment("n", expire=60) == 1

    await asyncio.sleep(0.05)
    assert await store.increment("n", expire=60) == 2
    await until_async(began_again)


async def test_a_text_is_no_number(store: Store) -> None:
    await store.set("key", b"text")
    with pytest.raises(ValueError, match="an integer in decimal text"):
        await store.increment("key")


async def test_no_increment_is_lost(store: Store) -> None:
    sums = await asyncio.gather(*(store.increment("n") for _ in range(200)))
    assert sorted(sums) == list(range(1, 201))


async def test_namespaces_have_keys_of_their_own(store: Store) -> None:
    """Whatever colons the keys have."""
    a, ab, b = store.namespace("a"), store.namespace("a").namespace("b"), store.namespace("b")
    places = [(store, "a::k"), (store, "a:b::k"), (a, "k"), (a, "b::k"), (ab, "k"), (b, "k"), (store, ":k"), (a, ":k")]
    for number, (place, key) in enumerate(places):
        await place.set(key, b"%d" % number)
    assert [await place.get(key) for place, key in places] == [b"%d" % number for number in range(len(places))]
    assert await store.namespace("a").namespace("b").get("k") == b"4"


async def test_clear_removes_a_namespace_and_those_below(store: Store) -> None:
    a, ab, abc = store.namespace("a"), store.namespace("a").namespace("b"), store.namespace("ab")
    for place in (store, a, ab, abc):
        await place.set("k", b"1")
    await a.clear()
    assert [await place.exists("k") for place in (store, a, ab, abc)] == [True, False, False, True]
    await store.clear()
    assert [await place.exists("k") for place in (store, abc)] == [False, False]


@pytest.mark.parametrize("name", ["", "a:b", "a*", "a b"])
async def test_a_namespace_has_a_plain_name(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        store.namespace(name)


async def test_get_or_set_computes_once(store: Store) -> None:
    """However many ask, in namespaces that are made anew each time; what is there already is not computed."""
    calls = 0

    async def make() -> bytes:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.05)
        return b"value"

    answers = await asyncio.gather(*(store.namespace("n").get_or_set("key", make, expire=60) for _ in range(100)))
    assert set(answers) == {b"value"}
    assert calls == 1
    assert await store.namespace("n").get_or_set("key", lambda: b"other") == b"value"


async def test_get_or_set_takes_plain_functions(store: Store) -> None:
    assert await store.get_or_set("key", lambda: b"value", expire=0.1) == b"value"

    async def gone() -> bool:
        return not await store.exists("key")

    await until_async(gone)
    with pytest.raises(TypeError, match="A store keeps bytes, not int"):
        await store.get_or_set("key", lambda: 1)  # type: ignore[arg-type, return-value] # the mistake


async def test_a_failure_is_not_kept(store: Store) -> None:
    """Those who waited get it too, and the next one who asks tries again."""
    calls = 0

    async def fail() -> bytes:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.05)
        raise LookupError("no value")

    outcomes = await asyncio.gather(*(store.get_or_set("key", fail) for _ in range(10)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {LookupError}
    assert calls == 1
    assert await store.get_or_set("key", lambda: b"value") == b"value"


async def test_who_waits_takes_over_from_who_is_cancelled(store: Store) -> None:
    begun = asyncio.Event()

    async def forever() -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b"never"

    first = asyncio.create_task(store.get_or_set("key", forever))
    await begun.wait()
    second = asyncio.create_task(store.get_or_set("key", lambda: b"second"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await asyncio.wait_for(second, 5) == b"second"


async def test_a_lock_lets_one_in(store: Store) -> None:
    inside = most = 0

    async def enter(name: str) -> None:
        nonlocal inside, most
        async with store.lock(name):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(enter("name") for _ in range(20)))
    assert most == 1
    async with store.lock("name"), store.lock("other"):
        pass


async def test_a_lock_opens_when_its_block_fails(store: Store) -> None:
    with pytest.raises(LookupError):
        async with store.lock("name"):
            raise LookupError
    async with asyncio.timeout(5), store.lock("name"):
        pass


async def test_a_closed_store_opens_again(store: Store) -> None:
    await store.set("key", b"value")
    await store.aclose()
    await store.aclose()
    assert await store.get("key") == b"value"


async def test_stores_keep_the_protocol(store: Store) -> None:
    assert isinstance(store, Store)
    assert isinstance(store.namespace("name"), type(store))
