"""What only a store in memory does."""

import pytest

from velithon.stores import MemoryStore, StoreFullError

pytestmark = pytest.mark.asyncio


async def test_the_least_recently_used_goes_first() -> None:
    """Reading is using."""
    store = MemoryStore(max_entries=3)
    for key in "abc":
        await store.set(key, b"1")
    await store.get("a")
    await store.set("d", b"1")
    assert [await store.exists(key) for key in "abcd"] == [True, False, True, True]
    assert len(store) == 3


async def test_bytes_are_bounded_too() -> None:
    """Namespaces share the room, and what was replaced or removed gives its own back."""
    store = MemoryStore(max_bytes=10_000)
    for _ in range(100):
        await store.namespace("n").set("same", b"x" * 4_000)
        await store.set("gone", b"x" * 4_000)
        await store.delete("gone")
    assert await store.namespace("n").exists("same")
    await store.set("b", b"x" * 4_000)
    await store.set("c", b"x" * 4_000)
    assert not await store.namespace("n").exists("same")
    with pytest.raises(StoreFullError, match="A value of 20000 bytes does not fit a store of 10000 bytes"):
        await store.set("d", b"x" * 20_000)
    assert await store.exists("c")


@pytest.mark.parametrize("bounds", [{"max_entries": 0}, {"max_bytes": 0}])
async def test_bounds_leave_room(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MemoryStore(**bounds)
