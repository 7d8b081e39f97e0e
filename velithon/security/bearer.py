"""Bearer tokens as dependencies: who asks, and whether they may (RFC 6750)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import HTTPConnection

from velithon.exceptions import HTTPException
from velithon.param_functions import Depends, Security
from velithon.security.http import HTTPBearer
from velithon.security.jwt import Claims, TokenError
from velithon.security.oauth2 import SecurityScopes
from velithon.security.utils import get_authorization_scheme_param

__all__ = ["JWTBearer"]


class JWTBearer(HTTPBearer):
    """The claims of the request's token, as a dependency that the document shows.

    `Depends(bearer)` asks for a valid token, `bearer.requires("orders:write")` for one with that scope, and
    `bearer.has_role("admin")` for one whose subject is that.

    Args:
        verify: A `JWT`, a `JWKS`, or `async verify(token) -> Claims` that raises `TokenError`.
        scheme_name: The name in documents.
        description: For documents, in Markdown.
        auto_error: Whether a request without a token is answered 401; otherwise the value is `None`. A token that is
            not valid is answered 401 in any case.
    """

    def __init__(
        self,
        verify: Callable[[str], Awaitable[Claims]],
        *,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(bearer_format="JWT", scheme_name=scheme_name, description=description, auto_error=auto_error)
        self.verify = verify

    async def __call__(  # type: ignore[override]  # what a dependency takes besides the request is its own affair
        self, request: HTTPConnection, security_scopes: SecurityScopes
    ) -> Claims | None:
        """Return the claims.

        Raises:
            HTTPException: 401 without a valid token; 403 where it lacks a scope that was asked for.
        """
        scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
        if scheme.lower() != "bearer" or not token:
            self.refuse()
            return None
        try:
            claims = await self.verify(token)
        except TokenError as exc:
            raise HTTPException(
                401, str(exc), {"WWW-Authenticate": _build_challenge("invalid_token", str(exc))}
            ) from exc
        missing = [scope for scope in security_scopes.scopes if scope not in claims.scopes]
        if missing:
            detail = f"The token lacks the scope {' '.join(missing)}."
            challenge = _build_challenge("insufficient_scope", detail, scope=security_scopes.scope_str)
            raise HTTPException(403, detail, {"WWW-Authenticate": challenge})
        return claims

    def requires(self, *scopes: str) -> Any:
        """Return the dependency that asks for scopes: `claims: Claims = bearer.requires("orders:write")`."""
        return Security(self, scopes=scopes)

    def has_role(self, *roles: str) -> Any:
        """Return the dependency that asks for one of several roles; otherwise the answer is 403."""
        detail = f"This is for {' or '.join(roles)} alone."

        async def check_role(claims: Claims | None = Depends(self)) -> Claims:
            if claims is None:
                raise self.make_not_authenticated_error()
            if claims.roles.isdisjoint(roles):
                raise HTTPException(403, detail)
            return claims

        return Depends(check_role, raises=[HTTPException(403, detail)])


def _build_challenge(error: str, description: str, **members: str) -> str:
    """Return a challenge; quotes and what is not visible ASCII cannot stand in it (RFC 6750, section 3)."""
    text = "".join(char if 32 <= ord(char) < 127 and char not in '"\\' else "'" for char in description)
    pairs = {"error": error, "error_description": text, **members}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in pairs.items())
