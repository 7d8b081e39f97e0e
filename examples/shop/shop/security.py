"""Passwords and tokens, and the dependencies that ask for them."""

import hashlib
import secrets
from typing import Annotated

from shop.models import Role
from shop.settings import get_settings
from velithon import Depends
from velithon.security.bearer import JWTBearer
from velithon.security.jwt import JWT, Claims
from velithon.security.passwords import Passwords
from velithon.security.refresh import RefreshTokens
from velithon.stores import Store, get_store

_settings = get_settings()

# Tests are not about the strength of hashes.
passwords = Passwords(time_cost=1, memory_cost=8, parallelism=1) if _settings.environment == "test" else Passwords()
tokens = JWT(_settings.secret_key.get_secret_value(), issuer=_settings.public_url, audience="shop")
bearer = JWTBearer(tokens)


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
