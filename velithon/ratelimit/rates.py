"""The arithmetic of limits: what one request does to what was used before.

Each strategy is a function of a state, three numbers, and the time; stores without scripts run it under their lock. On
Redis, `limits` runs the windows and a script of ours the bucket.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import floor, inf
from typing import Literal, NamedTuple

try:
    import limits
except ImportError as exc:
    raise ImportError("velithon.ratelimit needs limits: pip install 'velithon[limits]'") from exc

__all__ = ["Decision", "Rate", "State", "Strategy", "read_rates"]

Strategy = Literal["fixed-window", "sliding-window", "token-bucket"]
STRATEGIES = ("fixed-window", "sliding-window", "token-bucket")

State = tuple[float, float, float]
_PACKED = struct.Struct("<ddd")


class Decision(NamedTuple):
    """What became of a request.

    Attributes:
        allowed: Whether it may pass.
        remaining: How many more may pass now.
        reset: Seconds until more may pass.
    """

    allowed: bool
    remaining: int
    reset: float


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds.

    Attributes:
        item: As `limits` reads it.
        amount: How many.
        seconds: In which time.
        burst: How many at once, for a bucket.
        strategy: How they are counted.
    """

    item: limits.RateLimitItem
    amount: int
    seconds: int
    burst: int
    strategy: Strategy

    @property
    def label(self) -> str:
        """What tells the counts of different rates apart."""
        return f"{self.strategy}:{self.amount}-{self.burst}-{self.seconds}"

    @property
    def lifetime(self) -> float:
        """How long a state counts, in seconds."""
        if self.strategy == "token-bucket":
            return self.seconds * self.burst / self.amount
        return self.seconds * (2 if self.strategy == "sliding-window" else 1)

    def take(self, state: State | None, now: float, cost: int) -> tuple[State | None, Decision]:
        """Return the state after a request, and whether the request may pass.

        The state is `None` where it has not changed.
        """
        if self.strategy == "token-bucket":
            return self._take_from_bucket(state, now, cost)
        if self.strategy == "sliding-window":
            return self._take_sliding(state, now, cost)
        return self._take_fixed(state, now, cost)

    def _take_fixed(self, state: State | None, now: float, cost: int) -> tuple[State | None, Decision]:
        start, used, _ = (now, 0.0, 0.0) if state is None or now >= state[0] + self.seconds else state
        reset = start + self.seconds - now
        if used + cost > self.amount:
            return None, Decision(False, int(self.amount - used), reset)
        return (start, used + cost, 0.0), Decision(True, int(self.amount - used - cost), reset)

    def _take_sliding(self, state: State | None, now: float, cost: int) -> tuple[State | None, Decision]:
        start, used, before = state or (now, 0.0, 0.0)
        seconds = self.seconds
        if now >= start + 2 * seconds:
            start, used, before = now, 0.0, 0.0
        elif now >= start + seconds:
            start, used, before = start + seconds, 0.0, used
        left = start + seconds - now
        counted = floor(before * left / seconds) + used
        reset = min(left, left % (seconds / before) if before else inf)
        if counted + cost > self.amount:
            return None, Decision(False, max(0, int(self.amount - counted)), reset)
        return (start, used + cost, before), Decision(True, int(self.amount - counted - cost), reset)

    def _take_from_bucket(self, state: State | None, now: float, cost: int) -> tuple[State | None, Decision]:
        tokens, since, _ = state or (float(self.burst), now, 0.0)
        tokens = min(self.burst, tokens + max(0.0, now - since) * self.amount / self.seconds)
        if tokens < cost:
            return None, self.bucket_decision(False, tokens, cost)
        return (tokens - cost, now, 0.0), self.bucket_decision(True, tokens - cost, cost)

    def bucket_decision(self, allowed: bool, tokens: float, cost: int) -> Decision:
        """Return the decision of a bucket that has so many tokens."""
        wanted = cost if not allowed else floor(tokens) + 1
        missing = max(0.0, min(wanted, self.burst) - tokens)
        return Decision(allowed, floor(tokens), missing * self.seconds / self.amount)


def read_rates(text: str, strategy: Strategy, burst: int | None) -> list[Rate]:
    """Return the rates that a text such as `5/second;100/hour` names.

    Raises:
        ValueError: It names none, or the strategy or the burst is none.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(map(repr, STRATEGIES))}, not {strategy!r}.")
    if burst is not None and (strategy != "token-bucket" or burst < 1):
        raise ValueError('burst is the size of a bucket: it goes with strategy="token-bucket", and is at least 1.')
    try:
        items = limits.parse_many(text)
    except ValueError as exc:
        raise ValueError(f"A rate limit is written like '5/minute' or '5/second;100/hour', not {text!r}.") from exc
    rates = [Rate(item, item.amount, item.get_expiry(), burst or item.amount, strategy) for item in items]
    if any(rate.amount < 1 or rate.seconds < 1 for rate in rates):
        raise ValueError(f"A rate limit lets at least one request pass in at least one second, not {text!r}.")
    return rates


def pack_state(state: State) -> bytes:
    """Return a state as a store keeps it."""
    return _PACKED.pack(*state)


def unpack_state(value: bytes | None) -> State | None:
    """Return the state that a store kept."""
    return None if value is None else _PACKED.unpack(value)
