"""What a limit can be given beside its rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

    from velithon.ratelimit.keys import Key
    from velithon.ratelimit.rates import Strategy
    from velithon.stores import Store

__all__ = ["RateLimitOptions"]


class RateLimitOptions(TypedDict, total=False):
    """The options of `RateLimit`, where they are told."""

    key: Key
    strategy: Strategy
    burst: int | None
    cost: int
    name: str | None
    exempt: Callable[[Any], bool] | None
    store: Store | str | None
    on_error: Literal["allow", "refuse"]
    headers: bool
