"""Passwords and tokens, and the dependencies that ask for them."""

import asyncio
import hashlib
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from velithon import Depends
from velithon.security.bearer import JWTBearer
from velithon.security.jwt import JWT, Claims
from velithon.security.passwords import Passwords
from velithon.security.refresh import RefreshTokens
from velithon.stores import Store, get_store

from shop.models import Role
from shop.settings import get_settings

_settings = get_settings()

# Tests are not about the strength of hashes.
passwords = Passwords(time_cost=1, memory_cost=8, parallelism=1) if _settings.environment == "test" else Passwords()
tokens = JWT(_settings.secret_key.get_secret_value(), issuer=_settings.public_url, audience="shop")
bearer = JWTBearer(tokens)


# As many at once as there are processors: each hash takes 64 MiB, and more of them would only wait for one another.
_hashers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="hash")


async def hash_password(password: str) -> str:
    """Return what is kept of a password."""
    return await asyncio.get_running_loop().run_in_executor(_hashers, passwords.hash, password)


async def verify_password(password: str, hashed: str | None) -> tuple[bool, str | None]:
    """Verify a password; see `Passwords.verify_and_update`."""
    return await asyncio.get_running_loop().run_in_executor(_hashers, passwords.verify_and_update, password, hashed)


def current_user_id(claims: Annotated[Claims, Depends(bearer)]) -> int:
    """Return who asks."""
    return int(claims.subject)


UserId = Annotated[int, Depends(current_user_id)]
clerks_only = bearer.has_role(Role.CLERK, Role.ADMIN)
admins_only = bearer.has_role(Role.ADMIN)


def get_refresh_tokens(store: Annotated[Store, Depends(get_store)]) -> RefreshTokens:
    """Return what issues and rotates refresh tokens."""
    return RefreshTokens(store)


Refresh = Annotated[RefreshTokens, Depends(get_refresh_tokens)]


def new_token() -> tuple[str, str]:
    """Return a token for a mail, and the digest that is kept of it."""
    token = secrets.token_urlsafe(32)
    return token, digest_of(token)


def digest_of(token: str) -> str:
    """Return what is kept of a token: it is random, so a plain hash will do."""
    return hashlib.sha256(token.encode()).hexdigest()
