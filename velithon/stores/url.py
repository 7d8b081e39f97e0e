"""Stores by URL, and the application's store as a dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.applications import Starlette

from velithon.stores.base import Store
from velithon.stores.memory import MemoryStore

if TYPE_CHECKING:
    from velithon.stores.file import FileStore
    from velithon.stores.redis import RedisStore

__all__ = ["get_store", "store_from_url"]

_REDIS = ("redis", "rediss", "unix", "valkey", "valkeys")


def store_from_url(url: str, **options: Any) -> MemoryStore | FileStore | RedisStore:
    """Return the store that a URL names; nothing is opened until it is used.

    Args:
        url: `memory://`, `file:///var/lib/app`, `redis://host:6379/0`, `rediss://` (TLS) or `unix:///run/redis.sock`;
            `valkey://` and `valkeys://` are the same server. What follows `?` are options of the store, such as
            `memory://?max_entries=1000`.
        options: Options of the store's class: see `MemoryStore`, `FileStore` and `RedisStore`.

    Raises:
        ValueError: No store has this scheme, or an option is none of the store's.
        ImportError: The store needs an extra that is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme in _REDIS:
        from velithon.stores.redis import RedisStore

        return RedisStore(url, **options)
    try:
        if parts.scheme == "memory":
            return MemoryStore(**_read_numbers(parts.query), **options)
        if parts.scheme == "file":
            from velithon.stores.file import FileStore

            return FileStore(unquote(parts.netloc + parts.path), **_read_numbers(parts.query), **options)
    except TypeError as exc:
        raise ValueError(f"The store {url!r} has an option that does not exist: {exc}.") from exc
    known = ", ".join(f"{scheme}://" for scheme in ("memory", "file", *_REDIS))
    raise ValueError(f"No store has the URL {url!r}; known are {known}.")


def _read_numbers(query: str) -> dict[str, Any]:
    return {name: int(value) for name, value in parse_qsl(query, strict_parsing=bool(query))}


def get_store(app: Starlette) -> Store:
    """Return the application's store: a dependency, `Annotated[Store, Depends(get_store)]`."""
    store: Store = app.store  # type: ignore[attr-defined] # it is a Velithon
    return store
