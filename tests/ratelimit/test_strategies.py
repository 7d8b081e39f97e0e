"""Each strategy on each store counts alike."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from velithon.ratelimit import RateLimit, RateLimitError
from velithon.ratelimit.rates import read_rates
from velithon.stores import FileStore, MemoryStore, RedisStore, Store

pytestmark = pytest.mark.asyncio

STRATEGIES = ["fixed-window", "sliding-window", "token-bucket"]


@pytest_asyncio.fixture(params=["memory", "file", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store of each kind; files stand for every store that has no way of its own."""
    made: MemoryStore | FileStore | RedisStore
    if request.param == "memory":
        made = MemoryStore()
    elif request.param == "file":
        made = FileStore(tmp_path)
    else:
        made = RedisStore(request.getfixturevalue("redis_url"))
    async with made:
        yield made


def connection(store: Store, host: str = "192.0.2.1") -> Any:
    """A request, as far as limits look at it."""
    return SimpleNamespace(app=SimpleNamespace(store=store), client=SimpleNamespace(host=host))


async def passes(limit: RateLimit, asked: Any, name: str = "all") -> bool:
    try:
        await limit.check(asked, name)
    except RateLimitError:
        return False
    return True


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_as_many_pass_as_the_limit_says(store: Store, strategy: Any) -> None:
    """Of ten times as many at once; and others are not concerned."""
    limit = RateLimit("20/minute", strategy=strategy)
    outcomes = await asyncio.gather(*(passes(limit, connection(store)) for _ in range(200)))
    assert sum(outcomes) == 20
    assert await passes(limit, connection(store, "192.0.2.2"))
    assert await passes(limit, connection(store), "other")
    assert await passes(RateLimit("21/minute", strategy=strategy), connection(store))


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_fields_say_what_is_left(store: Store, strategy: Any) -> None:
    limit = RateLimit("2/minute", strategy=strategy)
    asked = connection(store)
    first = await limit.check(asked, "all")
    assert first is not None
    assert first["ratelimit-policy"] == '"default";q=2;w=60'
    assert first["ratelimit"].startswith('"default";r=1;t=')
    second = await limit.check(asked, "all")
    assert second is not None
    assert second["ratelimit"].startswith('"default";r=0;t=')
    with pytest.raises(RateLimitError) as refused:
        await limit.check(asked, "all")
    headers = dict(refused.value.headers or {})
    assert headers["ratelimit"].startswith('"default";r=0;t=')
    assert 1 <= int(headers["Retry-After"]) <= 60


async def test_who_waits_as_long_as_it_says_may_pass(store: Store) -> None:
    """With each strategy."""

    async def wait(strategy: Any) -> None:
        limit, asked = RateLimit("2/second", strategy=strategy), connection(store)
        assert [await passes(limit, asked) for _ in range(3)] == [True, True, False]
        with pytest.raises(RateLimitError) as refused:
            await limit.check(asked, "all")
        await asyncio.sleep(int((refused.value.headers or {})["Retry-After"]) + 0.05)
        assert await passes(limit, asked)

    await asyncio.gather(*map(wait, STRATEGIES))


async def test_a_bucket_has_a_burst_and_refills_evenly(store: Store) -> None:
    limit = RateLimit("10/second", strategy="token-bucket", burst=3)
    asked = connection(store)
    assert [await passes(limit, asked) for _ in range(4)] == [True, True, True, False]
    begun = time.monotonic()
    while not await passes(limit, asked):
        await asyncio.sleep(0.005)
        assert time.monotonic() - begun < 2
    assert limit.policy == '"default";q=3;w=1'


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_request_may_cost_more(store: Store, strategy: Any) -> None:
    limit = RateLimit("10/minute", strategy=strategy, cost=4)
    assert [await passes(limit, connection(store)) for _ in range(3)] == [True, True, False]


async def test_several_limits_hold_together(store: Store) -> None:
    """The answer names each, and says when the one that refuses lets pass."""
    limit = RateLimit("10/second;2/hour", strategy="fixed-window")
    asked = connection(store)
    assert limit.policy == '"10-in-1s";q=10;w=1, "2-in-3600s";q=2;w=3600'
    fields = await limit.check(asked, "all")
    assert fields is not None
    assert [item.rpartition(";")[0] for item in fields["ratelimit"].split(", ")] == [
        '"10-in-1s";r=9',
        '"2-in-3600s";r=1',
    ]
    assert await passes(limit, asked)
    with pytest.raises(RateLimitError) as refused:
        await limit.check(asked, "all")
    assert 3590 <= int((refused.value.headers or {})["Retry-After"]) <= 3600


def state_after(strategy: Any, hits: list[int]) -> list[bool]:
    """Run a strategy's arithmetic over points in time."""
    (rate,) = read_rates("4/minute", strategy, None)
    state = None
    outcomes = []
    for now in hits:
        changed, decision = rate.take(state, now, 1)
        state = state if changed is None else changed
        outcomes.append(decision.allowed)
    return outcomes


async def test_a_sliding_window_weighs_the_one_before() -> None:
    """Where a fixed one lets twice as many pass around its end."""
    hits = [0, 57, 57, 57, 61, 61, 61, 61, 90, 90, 90]
    assert state_after("fixed-window", hits) == [True] * 8 + [False] * 3
    assert state_after("sliding-window", hits) == [True] * 5 + [False] * 3 + [True, False, False]


async def test_a_sliding_window_forgets() -> None:
    assert state_after("sliding-window", [0, 0, 0, 0, 0, 121, 121, 121, 121, 121]) == ([True] * 4 + [False]) * 2
