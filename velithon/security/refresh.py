"""Refresh tokens that are used once, kept in a store.

A login begins a *family* of tokens. Each use of one returns the next; the store knows the newest alone. A token that
was used before is one that somebody copied, the owner or a thief, and nobody can tell which: the whole family ends
(RFC 9700, section 4.14.2). The store keeps hashes, so who reads it has no token.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from velithon._runtime.json_values import JSONObject

if TYPE_CHECKING:
    from velithon.stores import Store

__all__ = ["RefreshToken", "RefreshTokenError", "RefreshTokenReusedError", "RefreshTokens"]


class RefreshTokenError(Exception):
    """A refresh token is unknown, expired or revoked.

    The user has to log in.
    """


class RefreshTokenReusedError(RefreshTokenError):
    """A token was used a second time; every token of its family is void now.

    Attributes:
        subject: Whose tokens they were, to be told.
    """

    def __init__(self, subject: str) -> None:
        super().__init__("The refresh token was used before.")
        self.subject = subject


class RefreshToken(NamedTuple):
    """A token, and what was said when its family began.

    Attributes:
        token: What the client keeps.
        subject: Whose it is.
        data: What else was given, such as scopes.
        expires: When the family ends, in seconds since 1970.
    """

    token: str
    subject: str
    data: JSONObject
    expires: float


class RefreshTokens:
    """Issues and rotates refresh tokens.

    Args:
        store: Where they are kept; shared by all processes, such as a `RedisStore`.
        lifetime: How long after a login the last of its tokens expires, in seconds.
        idle: How long one token may wait for its use, in seconds; `lifetime` when `None`.

    Raises:
        ValueError: A time is not more than 0.
    """

    def __init__(self, store: Store, *, lifetime: float = 30 * 24 * 3600, idle: float | None = None) -> None:
        if lifetime <= 0 or (idle is not None and idle <= 0):
            raise ValueError(f"lifetime and idle are more than 0 seconds, not {lifetime} and {idle}.")
        self._families = store.namespace("refresh-families")
        self._subjects = store.namespace("refresh-subjects")
        self.lifetime = lifetime
        self.idle = idle

    async def issue(self, subject: str, data: Mapping[str, object] | None = None) -> RefreshToken:
        """Begin a family, at a login.

        Args:
            subject: Whose it is.
            data: What each use of its tokens returns; something that JSON can carry.
        """
        family = secrets.token_urlsafe(16)
        expires = time.time() + self.lifetime
        async with self._subjects.lock(subject):
            await self._save_list(subject, [*await self._list_living(subject), family], self.lifetime)
        return await self._issue_next(family, {"subject": subject, "data": dict(data or {}), "expires": expires})

    async def rotate(self, token: str) -> RefreshToken:
        """Use a token: return the next one of its family.

        Raises:
            RefreshTokenReusedError: It was used before.
            RefreshTokenError: There is no such token, or no more.
        """
        family, _, secret = token.partition(".")
        if not family or not secret:
            raise RefreshTokenError("This is no refresh token.")
        async with self._families.lock(family):
            found = await self._families.get(family)
            if found is None:
                raise RefreshTokenError("The refresh token has expired or was revoked.")
            record = json.loads(found)
            if not secrets.compare_digest(record["current"], _compute_digest(secret)):
                await self._families.delete(family)
                raise RefreshTokenReusedError(record["subject"])
            if record["expires"] <= time.time():
                await self._families.delete(family)
                raise RefreshTokenError("The refresh token has expired or was revoked.")
            return await self._issue_next(family, record)

    async def revoke(self, token: str) -> None:
        """End a token's family, at a logout."""
        family = token.partition(".")[0]
        if family:
            await self._families.delete(family)

    async def revoke_all(self, subject: str) -> int:
        """End every family of a subject, such as after a changed password.

        Return how many there were.
        """
        async with self._subjects.lock(subject):
            families = await self._list_living(subject)
            await self._subjects.delete(subject)
        return await self._families.delete(*families) if families else 0

    async def _issue_next(self, family: str, record: JSONObject) -> RefreshToken:
        secret = secrets.token_urlsafe(32)
        left = record["expires"] - time.time()
        expire = left if self.idle is None else min(left, self.idle)
        value = json.dumps({**record, "current": _compute_digest(secret)}).encode()
        await self._families.set(family, value, expire=max(expire, 0.001))
        return RefreshToken(f"{family}.{secret}", record["subject"], record["data"], record["expires"])

    async def _list_living(self, subject: str) -> list[str]:
        found = await self._subjects.get(subject)
        families: list[str] = [] if found is None else json.loads(found)
        return [family for family in families if await self._families.exists(family)]

    async def _save_list(self, subject: str, families: list[str], expire: float) -> None:
        await self._subjects.set(subject, json.dumps(families).encode(), expire=expire)


def _compute_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
