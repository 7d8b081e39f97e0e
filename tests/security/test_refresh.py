"""Refresh tokens: used once, ended as a family where one is used twice."""

from __future__ import annotations

import asyncio

import pytest

from velithon.security.refresh import RefreshTokenError, RefreshTokenReusedError, RefreshTokens
from velithon.stores import MemoryStore

pytestmark = pytest.mark.asyncio


async def test_each_use_returns_the_next_token() -> None:
    tokens = RefreshTokens(MemoryStore())
    first = await tokens.issue("u1", {"scopes": ["read"]})
    second = await tokens.rotate(first.token)
    third = await tokens.rotate(second.token)
    assert len({first.token, second.token, third.token}) == 3
    assert third[1:] == ("u1", {"scopes": ["read"]}, first.expires)


async def test_a_token_that_is_used_twice_ends_its_family_and_no_other() -> None:
    """Whoever comes second, owner or thief: neither gets further."""
    tokens = RefreshTokens(MemoryStore())
    stolen, elsewhere = await tokens.issue("u1"), await tokens.issue("u1")
    thiefs = await tokens.rotate(stolen.token)
    with pytest.raises(RefreshTokenReusedError) as caught:
        await tokens.rotate(stolen.token)
    assert caught.value.subject == "u1"
    with pytest.raises(RefreshTokenError):
        await tokens.rotate(thiefs.token)
    assert (await tokens.rotate(elsewhere.token)).subject == "u1"


async def test_one_of_many_uses_at_once_succeeds() -> None:
    tokens = RefreshTokens(MemoryStore())
    token = (await tokens.issue("u1")).token
    results = await asyncio.gather(*(tokens.rotate(token) for _ in range(20)), return_exceptions=True)
    assert sum(not isinstance(result, Exception) for result in results) == 1


async def test_tokens_are_revoked_one_family_or_all() -> None:
    tokens = RefreshTokens(MemoryStore())
    one, two, other = await tokens.issue("u1"), await tokens.issue("u1"), await tokens.issue("u2")
    await tokens.revoke(one.token)
    with pytest.raises(RefreshTokenError):
        await tokens.rotate(one.token)
    assert await tokens.revoke_all("u1") == 1
    with pytest.raises(RefreshTokenError):
        await tokens.rotate(two.token)
    assert (await tokens.rotate(other.token)).subject == "u2"


async def test_a_family_ends_with_its_lifetime_and_a_token_with_its_idle_time() -> None:
    store = MemoryStore()
    short = await RefreshTokens(store, lifetime=0.01).issue("u1")
    idle = await RefreshTokens(store, idle=0.01).issue("u1")
    await asyncio.sleep(0.05)
    for token in (short.token, idle.token):
        with pytest.raises(RefreshTokenError):
            await RefreshTokens(store).rotate(token)


@pytest.mark.parametrize("token", ["", ".", "x", "x.", ".x", "x.y", "a::b.c"])
async def test_what_is_no_token_is_refused(token: str) -> None:
    tokens = RefreshTokens(MemoryStore())
    with pytest.raises(RefreshTokenError):
        await tokens.rotate(token)
    await tokens.revoke(token)


async def test_the_store_holds_no_token() -> None:
    store = MemoryStore()
    tokens = RefreshTokens(store)
    issued = await tokens.issue("u1")
    family, _, secret = issued.token.partition(".")
    kept = await store.namespace("refresh-families").get(family)
    assert kept is not None
    assert secret.encode() not in kept
