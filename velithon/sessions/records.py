"""Session records in the store, and the list of each user's sessions.

A session is kept by the digest of its identifier.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from velithon.stores import Store

__all__ = ["Record", "SessionInfo", "Sessions", "list_sessions", "revoke_session", "revoke_sessions"]

NAMESPACE = "session"
# Lists outlive their sessions by as much as this, and are rewritten with every login; in seconds.
_LIST_LIFETIME = 400 * 24 * 60 * 60.0


@dataclass(slots=True)
class Record:
    """A session as it is kept.

    Attributes:
        handle: The digest of its identifier.
        data: The dictionary.
        created: When it began, in Unix time.
        seen: When it was last written.
        user: Whom it belongs to.
        details: What lists show of it.
    """

    handle: str
    data: dict[str, Any]
    created: float
    seen: float
    user: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def packed(self) -> bytes:
        """Return it as JSON."""
        return json.dumps([self.data, self.created, self.seen, self.user, self.details]).encode()


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session of a user, as a list shows it.

    Attributes:
        handle: What `revoke_session` takes; no secret.
        created: When somebody logged in.
        seen: When it was last written: while it is used at least once in a twentieth of its idle lifetime.
        details: As `regenerate` was told.
    """

    handle: str
    created: datetime
    seen: datetime
    details: dict[str, Any]


def new_identifier() -> str:
    """Return 256 random bits, for a cookie."""
    return secrets.token_urlsafe(32)


def compute_handle(identifier: str) -> str:
    """Return the key of a session in the store.

    It is a digest: who reads the store cannot take a session over.
    """
    return hashlib.sha256(identifier.encode()).hexdigest()


class Sessions:
    """The sessions in a store.

    Args:
        store: The namespace that they are in.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, handle: str) -> Record | None:
        """Return a session, or `None`."""
        blob = await self._store.get(handle)
        return None if blob is None else Record(handle, *json.loads(blob))

    async def add(self, record: Record, expire: float) -> None:
        """Keep a new session, and name it in its user's list."""
        await self._store.set(record.handle, record.packed(), expire=expire)
        if record.user is not None:
            async with self._store.lock(_build_list_key(record.user)):
                handles = await self._list_handles(record.user)
                # What has expired, or was lost, is left out when the list is written.
                kept = [handle for handle in handles if await self._store.exists(handle)]
                await self._write(record.user, [*kept, record.handle])

    async def rewrite(self, record: Record, expire: float) -> bool:
        """Keep what has changed.

        Tell whether the session was still there: a revoked one does not come back.
        """
        return await self._store.replace(record.handle, record.packed(), expire=expire)

    async def remove(self, handle: str, user: str | None) -> bool:
        """Forget a session; tell whether there was one."""
        there = await self._store.delete(handle)
        if user is not None:
            async with self._store.lock(_build_list_key(user)):
                await self._write(user, [known for known in await self._list_handles(user) if known != handle])
        return bool(there)

    async def of(self, user: str) -> list[Record]:
        """Return the sessions of a user, the oldest first."""
        handles = await self._list_handles(user)
        blobs = await self._store.get_many(*handles)
        records = [
            Record(handle, *json.loads(blob)) for handle, blob in zip(handles, blobs, strict=True) if blob is not None
        ]
        return sorted((record for record in records if record.user == user), key=lambda record: record.created)

    async def _list_handles(self, user: str) -> list[str]:
        blob = await self._store.get(_build_list_key(user))
        return [] if blob is None else json.loads(blob)

    async def _write(self, user: str, handles: list[str]) -> None:
        if handles:
            await self._store.set(_build_list_key(user), json.dumps(handles).encode(), expire=_LIST_LIFETIME)
        else:
            await self._store.delete(_build_list_key(user))


def _build_list_key(user: str) -> str:
    return f"user {hashlib.sha256(user.encode()).hexdigest()}"


async def list_sessions(store: Store, user: str) -> list[SessionInfo]:
    """Return the sessions of a user, the oldest first.

    Args:
        store: Where they are kept, such as `request.app.store`.
        user: As `regenerate` was told.
    """
    return [
        SessionInfo(record.handle, _to_datetime(record.created), _to_datetime(record.seen), record.details)
        for record in await Sessions(store.namespace(NAMESPACE)).of(user)
    ]


async def revoke_session(store: Store, user: str, handle: str) -> bool:
    """End one session of a user at once, wherever it is used.

    Tell whether the user had it.

    Args:
        store: Where it is kept.
        user: Whose it is: the session of another user is not ended.
        handle: As `list_sessions` gives it.
    """
    sessions = Sessions(store.namespace(NAMESPACE))
    if handle not in [record.handle for record in await sessions.of(user)]:
        return False
    return await sessions.remove(handle, user)


async def revoke_sessions(store: Store, user: str, *, keep: str | None = None) -> int:
    """End all sessions of a user at once, and return how many there were.

    Call it after a change of the password, for example.

    Args:
        store: Where they are kept.
        user: Whose they are.
        keep: The handle of one that goes on, such as `request.session.handle`.
    """
    sessions = Sessions(store.namespace(NAMESPACE))
    count = 0
    for record in await sessions.of(user):
        if record.handle != keep:
            count += await sessions.remove(record.handle, user)
    return count


def _to_datetime(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


def now() -> float:
    """Return the Unix time."""
    return time.time()
