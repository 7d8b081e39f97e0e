"""The cache as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon.cache.engine import ResponseCache
from velithon.cache.policy import CachePolicy
from velithon.middleware.base import BaseHTTPMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from starlette.types import ASGIApp

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response
    from velithon.stores import Store

__all__ = ["CacheMiddleware"]


class CacheMiddleware(BaseHTTPMiddleware):
    """Caches responses to `GET` as a shared cache in front of the application would.

    By default it keeps those that say for how long, by `Cache-Control` or `Expires`. A successful request with another
    method drops what is kept for its URL.

    Args:
        app: The next layer.
        expire: How long the others are kept, in seconds; `None` keeps none of them.
        key: See `CachePolicy`, likewise for the others.
        vary: Headers that belong to the key.
        tags: Names to invalidate by.
        stale_while_revalidate: How long a response is sent while a new one is made, in seconds.
        max_age: What clients are told.
        credentials: Whether requests with credentials are answered alike.
        max_body_size: Larger responses are not kept, in bytes.
        store: Where, if not in the application's store.

    Raises:
        ValueError: A time is not what it can be.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        expire: float | None = None,
        key: Callable[[Request], str | None] | None = None,
        vary: Collection[str] = (),
        tags: Collection[str] | Callable[[Request], Iterable[str]] = (),
        stale_while_revalidate: float = 0,
        max_age: int | None = None,
        credentials: bool = False,
        max_body_size: int = 1024 * 1024,
        store: Store | str | None = None,
    ) -> None:
        super().__init__(app)
        self.policy = CachePolicy(
            expire=expire,
            key=key,
            vary=vary,
            tags=tags,
            stale_while_revalidate=stale_while_revalidate,
            max_age=max_age,
            credentials=credentials,
            max_body_size=max_body_size,
            store=store,
        )
        self._cache = ResponseCache(self.policy, "all ")

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Answer from the store, or by what is inside."""
        if request.method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            response: Response = await self._cache.answer(request, call_next)
            return response
        response = await call_next(request)
        if response.status_code < 400:
            await self._cache.forget(request)
        return response
