"""What is cached, for how long, and for whom: the decorator and its options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from velithon.requests.request import Request
    from velithon.stores import Store

__all__ = ["POLICY", "CachePolicy", "cache", "invalidate"]

F = TypeVar("F", bound=Callable[..., object])

# The attribute of a decorated endpoint.
POLICY = "__velithon_cache__"
NAMESPACE = "cache"
TAG = "tag "


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """How responses are cached.

    Attributes:
        expire: How long a response is fresh that does not say so itself, in seconds; `None` caches only those that do.
        key: `key(request) -> str` takes the place of the URL; `None` as its result passes the cache.
        vary: Names of request headers whose values belong to the key.
        tags: Names to `invalidate` by, in which `{item_id}` is the value of a path parameter; or
            `tags(request) -> Iterable[str]`.
        stale_while_revalidate: How long a response that is fresh no more is sent while a new one is made, in seconds.
        max_age: How long clients and proxies may keep it, in seconds: what `Cache-Control` says where the response has
            none. By default `expire`; 0 has them ask each time, which costs a 304.
        credentials: Whether requests with `Authorization` or cookies are answered from the cache too, all alike.
        max_body_size: Larger responses are not kept, in bytes.
        store: Where, a store or its URL; the application's by default.

    Raises:
        ValueError: A time is not what it can be.
    """

    expire: float | None = None
    key: Callable[[Request], str | None] | None = None
    vary: Collection[str] = ()
    tags: Collection[str] | Callable[[Request], Iterable[str]] = ()
    stale_while_revalidate: float = 0
    max_age: int | None = None
    credentials: bool = False
    max_body_size: int = 1024 * 1024
    store: Store | str | None = None

    def __post_init__(self) -> None:
        if self.expire is not None and not self.expire > 0:
            raise ValueError(f"expire must be more than 0 seconds, not {self.expire!r}.")
        if self.stale_while_revalidate < 0 or (self.max_age is not None and self.max_age < 0):
            raise ValueError("stale_while_revalidate and max_age must be at least 0 seconds.")
        if isinstance(self.vary, str) or isinstance(self.tags, str):
            raise ValueError("vary and tags are lists of names, not one string.")
        if "*" in self.vary:
            raise ValueError('vary=["*"] would keep nothing: name the headers.')

    def tags_of(self, request: Request) -> list[str]:
        """Return the tags of a request's response."""
        if callable(self.tags):
            return list(self.tags(request))
        params = request.path_params
        return [tag.format_map(params) for tag in self.tags]


def cache(
    *,
    expire: float,
    key: Callable[[Request], str | None] | None = None,
    vary: Collection[str] = (),
    tags: Collection[str] | Callable[[Request], Iterable[str]] = (),
    stale_while_revalidate: float = 0,
    max_age: int | None = None,
    credentials: bool = False,
    max_body_size: int = 1024 * 1024,
    store: Store | str | None = None,
) -> Callable[[F], F]:
    """Return a decorator that caches what an endpoint answers to `GET`.

    A hit runs neither the endpoint nor its dependencies. Headers that the signature declares belong to the key, and
    requests with credentials pass the cache: `Authorization`, cookies, and what the endpoint's security schemes read.

    Args:
        expire: See `CachePolicy`, likewise for the others.
        key: Takes the place of the URL.
        vary: Further headers that belong to the key.
        tags: Names to invalidate by.
        stale_while_revalidate: How long a response is sent while a new one is made, in seconds.
        max_age: What clients are told.
        credentials: Whether requests with credentials are answered alike.
        max_body_size: Larger responses are not kept, in bytes.
        store: Where, if not in the application's store.

    Raises:
        ValueError: A time is not what it can be.
    """
    policy = CachePolicy(
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

    def decorate(endpoint: F) -> F:
        setattr(endpoint, POLICY, policy)
        return endpoint

    return decorate


async def invalidate(store: Store, *tags: str) -> None:
    """Drop every cached response that has one of these tags.

    A response that is being made now is not cached either.

    Args:
        store: The one that the responses are kept in, such as `request.app.store`.
        tags: Their names.
    """
    await store.namespace(NAMESPACE).delete(*(TAG + tag for tag in tags))
