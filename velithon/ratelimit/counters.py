"""Where requests are counted: in one step, on every store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from velithon.ratelimit.rates import Decision, pack_state, unpack_state
from velithon.stores.memory import MemoryStore

if TYPE_CHECKING:
    from limits.aio.strategies import RateLimiter

    from velithon.ratelimit.rates import Rate
    from velithon.stores import RedisStore

__all__ = ["take"]

# Redis's own clock, so that machines whose clocks differ count alike.
_BUCKET = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local burst, rate, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call('HMGET', KEYS[1], 'tokens', 'since')
local tokens = tonumber(state[1]) or burst
tokens = math.min(burst, tokens + math.max(0, now - (tonumber(state[2]) or now)) * rate)
if tokens < cost then return {0, tostring(tokens)} end
tokens = tokens - cost
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'since', string.format('%.17g', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000))
return {1, tostring(tokens)}
"""

# By the client whose connections they share.
_limiters: WeakKeyDictionary[object, dict[tuple[str, str], RateLimiter]] = WeakKeyDictionary()


async def take(store: Any, rate: Rate, key: str, cost: int) -> Decision:
    """Count a request, if it may pass.

    Raises:
        StoreError: The store is away.
    """
    if isinstance(store, MemoryStore):
        return _take_from_memory(store, rate, key, cost)
    if hasattr(store, "script"):
        return await _take_from_redis(store, rate, key, cost)
    async with store.lock(key):
        state, decision = rate.take(unpack_state(await store.get(key)), time.time(), cost)
        if state is not None:
            await store.set(key, pack_state(state), expire=rate.lifetime)
        return decision


def _take_from_memory(store: MemoryStore, rate: Rate, key: str, cost: int) -> Decision:
    """Count without waiting for anything, so that nobody else counts in between."""
    memory, full, now = store._memory, store.full(key), time.monotonic()
    state, decision = rate.take(unpack_state(memory.get(full)), now, cost)
    if state is not None:
        memory.set(full, pack_state(state), now + rate.lifetime)
    return decision


async def _take_from_redis(store: RedisStore, rate: Rate, key: str, cost: int) -> Decision:
    if rate.strategy == "token-bucket":
        arguments = [rate.burst, rate.amount / rate.seconds, cost]
        allowed, tokens = await store.script(_BUCKET, [store.full(key)], arguments)
        return rate.bucket_decision(bool(allowed), float(tokens), cost)
    limiter = _get_limiter(store, rate.strategy)
    allowed = await store.run(limiter.hit(rate.item, key, cost=cost))
    reset, remaining = await store.run(limiter.get_window_stats(rate.item, key))
    return Decision(bool(allowed), remaining, max(0.0, reset - time.time()))


def _get_limiter(store: RedisStore, strategy: str) -> RateLimiter:
    """Return the limiter of `limits` that shares the store's connections."""
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

    client = store.client
    known = _limiters.setdefault(client, {})
    place = (strategy, store.full("-"))
    limiter = known.get(place)
    if limiter is None:
        kind = FixedWindowRateLimiter if strategy == "fixed-window" else SlidingWindowCounterRateLimiter
        options: dict[str, Any] = {"connection_pool": client.connection_pool}
        storage = RedisStorage(
            f"async+{store.url}", implementation="redispy", key_prefix=store.full("-")[:-1], **options
        )
        limiter = known[place] = kind(storage)
    return limiter
