"""Stores: bytes under names, in this process, in files or in Redis, behind one contract.

An application has one, `app.store`: in memory unless `Velithon(store=...)` says otherwise. Rate limits, cached
responses and sessions are kept there, so one line takes an application from one process to many machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon._runtime.lazy import lazy_attributes
from velithon.stores.base import BaseStore, Store, StoreError, StoreFullError, StoreUnavailableError
from velithon.stores.memory import MemoryStore
from velithon.stores.url import get_store, store_from_url

if TYPE_CHECKING:
    from velithon.stores.file import FileStore
    from velithon.stores.redis import RedisStore

__all__ = [
    "BaseStore",
    "FileStore",
    "MemoryStore",
    "RedisStore",
    "Store",
    "StoreError",
    "StoreFullError",
    "StoreUnavailableError",
    "get_store",
    "store_from_url",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_attributes(
        __name__, {"FileStore": "velithon.stores.file", "RedisStore": "velithon.stores.redis"}
    )
