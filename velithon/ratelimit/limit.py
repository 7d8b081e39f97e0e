"""One limit: a dependency for routes, and what the layer asks."""

from __future__ import annotations

import inspect
import logging
import time
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

from velithon.exceptions import HTTPException
from velithon.ratelimit.counters import take
from velithon.ratelimit.keys import Key, by_client, shorten_key
from velithon.ratelimit.rates import Decision, Rate, Strategy, read_rates
from velithon.requests import Request
from velithon.requests.rsgi import RSGIRequest
from velithon.responses import Response
from velithon.stores.base import StoreError
from velithon.stores.option import StoreOption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from velithon.stores import Store

__all__ = ["RateLimit", "RateLimitError", "RateLimitUnavailableError"]

logger = logging.getLogger("velithon.ratelimit")

# While the store is away it is asked so often, in seconds: not every request waits for it.
_ASK_AGAIN = 1.0


class RateLimitError(HTTPException):
    """Too many requests were made: the answer says when to come back."""

    openapi_headers = {
        "Retry-After": {"description": "Seconds until a request may pass.", "schema": {"type": "integer"}},
        "RateLimit-Policy": {"description": "The limits.", "schema": {"type": "string"}},
        "RateLimit": {"description": "What is left of them.", "schema": {"type": "string"}},
    }

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(429, "Too Many Requests", headers)


class RateLimitUnavailableError(HTTPException):
    """Whether too many requests were made cannot be told, as the store is away."""

    def __init__(self) -> None:
        super().__init__(503, "Service Unavailable", {"Retry-After": str(ceil(_ASK_AGAIN))})


class RateLimit:
    """A limit of requests, as a dependency: `Depends(RateLimit("5/minute"))`.

    Each route has a count of its own, unless the limit has a name: limits of one name share one. A response that the
    endpoint makes itself does not get the `RateLimit` fields; those of the layer do.

    Args:
        limit: Such as `5/minute`, `100 per 2 hours` or, where all must hold, `5/second;100/hour`.
        key: Whom a request is counted for: `key(request) -> str`, sync or async. `None` as its result counts it for
            nobody. By default the client's address.
        strategy: `"sliding-window"` weighs the window before, `"fixed-window"` begins anew with each window,
            `"token-bucket"` refills evenly and lets a burst pass.
        burst: How many requests may pass at once, for a bucket; as many as the limit says by default.
        cost: How many requests one counts for.
        name: The name of the count.
        exempt: `exempt(request) -> bool` tells which requests are not counted.
        store: Where to count, a store or its URL; in the application's by default.
        on_error: What becomes of requests while the store is away: they pass (`"allow"`) or are answered with 503
            (`"refuse"`). It is logged once, and again when the store is back.
        headers: Whether answers have the fields `RateLimit` and `RateLimit-Policy`
            (draft-ietf-httpapi-ratelimit-headers-10).

    Raises:
        ValueError: The limit cannot be read, or another argument has no such value.
    """

    def __init__(
        self,
        limit: str,
        *,
        key: Key = by_client,
        strategy: Strategy = "sliding-window",
        burst: int | None = None,
        cost: int = 1,
        name: str | None = None,
        exempt: Callable[[Any], bool] | None = None,
        store: Store | str | None = None,
        on_error: Literal["allow", "refuse"] = "allow",
        headers: bool = True,
    ) -> None:
        self.rates = read_rates(limit, strategy, burst)
        if not 1 <= cost <= min(rate.burst for rate in self.rates):
            raise ValueError(f"cost must be at least 1 and no more than the limit {limit!r} lets pass, not {cost!r}.")
        if on_error not in ("allow", "refuse"):
            raise ValueError(f'on_error must be "allow" or "refuse", not {on_error!r}.')
        self.key = key
        self.cost = cost
        self.name = name
        self.exempt = exempt
        self.on_error = on_error
        self.headers = headers
        # Read by documents: what whoever depends on this may answer.
        self.__velithon_raises__: tuple[HTTPException, ...] = (RateLimitError(),)
        self._store = StoreOption(store, "limit")
        self._away_until: float | None = None
        self._names = [_get_policy_name(rate, index, len(self.rates)) for index, rate in enumerate(self.rates)]
        self.policy = ", ".join(_format_policy(name, rate) for name, rate in zip(self._names, self.rates, strict=True))

    async def __call__(self, request: Request, response: Response) -> None:
        """Count a request.

        Raises:
            RateLimitError: There were too many.
            RateLimitUnavailableError: The store is away, and `on_error` is `"refuse"`.
        """
        fields = await self.check(request, self.name or _find_place(request))
        if fields is not None:
            for name, value in fields.items():
                response.headers.append(name, value)

    async def check(self, connection: Any, name: str) -> dict[str, str] | None:
        """Count a request under a name.

        Args:
            connection: The request, or the WebSocket's handshake.
            name: The name of the count.

        Returns:
            The fields of its answer; `None` for a request that was not counted, or where there are to be none.

        Raises:
            RateLimitError: There were too many.
            RateLimitUnavailableError: The store is away, and `on_error` is `"refuse"`.
        """
        if self.exempt is not None and self.exempt(connection):
            return None
        identity: Any = self.key(connection)
        if inspect.isawaitable(identity):
            identity = await identity
        if identity is None:
            return None
        decisions = await self._take(connection.app, f"{name}:{shorten_key(str(identity))}")
        if decisions is None:
            return None
        refused = [decision for decision in decisions if not decision.allowed]
        if refused:
            wait = max(1, ceil(max(decision.reset for decision in refused)))
            raise RateLimitError({"Retry-After": str(wait), **(self._build_fields(decisions) if self.headers else {})})
        return self._build_fields(decisions) if self.headers else None

    async def _take(self, app: object, key: str) -> list[Decision] | None:
        if self._away_until is not None and time.monotonic() < self._away_until:
            self._stand_in()
            return None
        store = self._store.of(app)
        decisions = []
        try:
            for rate in self.rates:
                decisions.append(await take(store, rate, f"{rate.label}:{key}", self.cost))
                if not decisions[-1].allowed:
                    break
        except StoreError as exc:
            if self._away_until is None:
                logger.error("Requests cannot be counted and are %s: %s", _FATE[self.on_error], exc)
            self._away_until = time.monotonic() + _ASK_AGAIN
            self._stand_in()
            return None
        if self._away_until is not None:
            self._away_until = None
            logger.warning("Requests are counted again")
        return decisions

    def _stand_in(self) -> None:
        if self.on_error == "refuse":
            raise RateLimitUnavailableError

    def _build_fields(self, decisions: list[Decision]) -> dict[str, str]:
        left = [
            f'"{name}";r={decision.remaining};t={ceil(decision.reset)}'
            for name, decision in zip(self._names, decisions, strict=False)
        ]
        return {"ratelimit-policy": self.policy, "ratelimit": ", ".join(left)}


_FATE = {"allow": "let pass", "refuse": "refused"}


def _get_policy_name(rate: Rate, index: int, count: int) -> str:
    return "default" if count == 1 else f"{rate.amount}-in-{rate.seconds}s"


def _format_policy(name: str, rate: Rate) -> str:
    return f'"{name}";q={rate.burst};w={rate.seconds}'


def _find_place(request: Request) -> str:
    """Return the route's path, as it is declared, and the method."""
    route = request._route if isinstance(request, RSGIRequest) and request._scope is None else None
    if route is None:
        route = request.scope.get("route")
    path = getattr(route, "path_format", None) or request.scope["path"]
    return f"{request.method} {path}"
