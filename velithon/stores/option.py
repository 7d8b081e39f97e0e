"""The store that a layer or a dependency was given, or else the application's."""

from __future__ import annotations

from velithon.stores.base import Store
from velithon.stores.memory import MemoryStore
from velithon.stores.url import store_from_url

__all__ = ["StoreOption"]


class StoreOption:
    """Finds a layer's store, which the application closes at shutdown.

    Args:
        given: A store or its URL; `None` for the application's.
        namespace: Where in it the layer keeps what it keeps.
    """

    def __init__(self, given: Store | str | None, namespace: str) -> None:
        self._given = store_from_url(given) if isinstance(given, str) else given
        self._namespace = namespace
        self._app: object = None
        self._base: Store | None = None
        self._view: Store

    def of(self, app: object) -> Store:
        """Return the namespace for the requests of an application.

        One that has no store gets one in memory.
        """
        if self._given is None:
            base = getattr(app, "store", None)
            if base is None:
                base = self._given = MemoryStore()
        else:
            base = self._given
        if base is not self._base or app is not self._app:
            self._app, self._base, self._view = app, base, base.namespace(self._namespace)
            register = getattr(app, "register_store", None)
            if self._given is not None and register is not None:
                register(self._given)
        return self._view
