"""JSON Web Tokens, by PyJWT; needs `pip install "velithon[auth]"`.

`JWT` issues and verifies access tokens; `JWKS` verifies those of somebody else, by the keys that they publish;
`JWTBearer` is the dependency that reads one from a request. Refresh tokens are in `velithon.security.refresh`.

Exceptions:

    TokenError                  a token was refused
      TokenExpiredError         it was valid, and is no more
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from velithon.concurrency import run_in_threadpool

try:
    import jwt
    from jwt.algorithms import get_default_algorithms
except ImportError as exc:
    raise ImportError('velithon.security.jwt needs PyJWT: pip install "velithon[auth]"') from exc

if TYPE_CHECKING:
    from jwt import PyJWK

    from velithon._runtime.json_values import JSONObject

__all__ = ["JWKS", "JWT", "Claims", "Key", "TokenError", "TokenExpiredError"]

# RFC 7518, section 3.2: a key is at least as long as the hash's output.
_SECRET_LENGTHS = {"HS256": 32, "HS384": 48, "HS512": 64}
_REQUIRED = ("exp", "iat", "sub")


class TokenError(Exception):
    """A token was refused; the text says why, and may be shown to the client."""


class TokenExpiredError(TokenError):
    """A token was valid once."""


class Claims(dict[str, Any]):
    """What a verified token says."""

    @property
    def subject(self) -> str:
        """Whose token it is: `sub`."""
        return str(self["sub"])

    @property
    def scopes(self) -> frozenset[str]:
        """What it is for: `scope`, a string with spaces (RFC 9068) or a list."""
        scope = self.get("scope") or ()
        return frozenset(scope.split() if isinstance(scope, str) else scope)

    @property
    def roles(self) -> frozenset[str]:
        """The subject's `roles`."""
        roles = self.get("roles") or ()
        return frozenset((roles,) if isinstance(roles, str) else roles)


class Key:
    """A key to sign or to verify with.

    Args:
        secret: For HS256 and its kin a secret of at least 32, 48 or 64 bytes; for the others a private key in PEM, or a
            public one, which only verifies.
        algorithm: `HS256`, `RS256`, `ES256`, `EdDSA` or another of RFC 7518's, but never `none`.
        id: The `kid` of the tokens that it signs; by default the key's thumbprint (RFC 7638), or none for a secret.

    Raises:
        ValueError: The algorithm does not exist, or the key is none for it, or is too short.
    """

    def __init__(self, secret: str | bytes, algorithm: str = "HS256", id: str | None = None) -> None:
        algorithms = get_default_algorithms()
        if algorithm == "none" or algorithm not in algorithms:
            known = ", ".join(sorted(algorithms.keys() - {"none"}))
            raise ValueError(f"There is no algorithm {algorithm!r} for signing tokens; there are {known}.")
        shortest = _SECRET_LENGTHS.get(algorithm)
        raw = secret.encode() if isinstance(secret, str) else secret
        if shortest is not None and len(raw) < shortest:
            raise ValueError(
                f"A secret for {algorithm} has at least {shortest} bytes, not {len(raw)}:"
                f" make one with `python -c 'import secrets; print(secrets.token_urlsafe({shortest}))'`."
            )
        self.algorithm = algorithm
        implementation = algorithms[algorithm]
        try:
            self.key = implementation.prepare_key(raw)
        except (jwt.InvalidKeyError, ValueError, TypeError) as exc:
            raise ValueError(f"This is no key for {algorithm}: {exc}") from exc
        self.is_secret = shortest is not None
        self.can_sign = self.is_secret or hasattr(self.key, "private_bytes")
        self.public = self.key.public_key() if self.can_sign and not self.is_secret else self.key
        self.jwk: JSONObject | None = None
        if not self.is_secret:
            self.jwk = dict(implementation.to_jwk(self.public, as_dict=True))
            id = id or _compute_thumbprint(self.jwk)
            self.jwk |= {"kid": id, "alg": algorithm, "use": "sig"}
            self.jwk.pop("key_ops", None)
        self.id = id


def _compute_thumbprint(jwk: Mapping[str, object]) -> str:
    """Return a public key's thumbprint (RFC 7638)."""
    import hashlib
    import json
    from base64 import urlsafe_b64encode

    members = {name: jwk[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in jwk}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class JWT:
    """Issues and verifies tokens.

    Args:
        keys: A secret for HS256, or one or several `Key`s. The first signs, all verify: to rotate, put the new key in
            front and remove the old one after `lifetime`.
        issuer: `iss`; checked where it is given.
        audience: `aud`, whom the tokens are for; checked where it is given, and refused in tokens where it is not.
        lifetime: How long a token is valid, in seconds.
        leeway: How far clocks may differ, in seconds.

    Raises:
        ValueError: There is no key to sign with, or two keys have the same id.
    """

    def __init__(
        self,
        keys: str | bytes | Key | Sequence[Key],
        *,
        issuer: str | None = None,
        audience: str | None = None,
        lifetime: float = 15 * 60,
        leeway: float = 0,
    ) -> None:
        if isinstance(keys, str | bytes):
            keys = Key(keys)
        self.keys = (keys,) if isinstance(keys, Key) else tuple(keys)
        if not self.keys or not self.keys[0].can_sign:
            raise ValueError("The first key signs: give a secret or a private key.")
        ids = [key.id for key in self.keys if key.id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError(f"Two keys have the same id: {', '.join(ids)}.")
        self.issuer = issuer
        self.audience = audience
        self.lifetime = lifetime
        self.leeway = leeway

    def issue(
        self,
        subject: str,
        *,
        scopes: Iterable[str] = (),
        roles: Iterable[str] = (),
        lifetime: float | None = None,
        **claims: object,
    ) -> str:
        """Return a signed token.

        Args:
            subject: Whose it is.
            scopes: What it is for.
            roles: What the subject is.
            lifetime: How long it is valid, in seconds; the issuer's by default.
            claims: Whatever else it says. Everybody who has it can read that.
        """
        now = int(time.time())
        end = now + (self.lifetime if lifetime is None else lifetime)
        payload: JSONObject = {"sub": subject, "iat": now, "exp": end, "jti": uuid.uuid4().hex}
        given = {"iss": self.issuer, "aud": self.audience}
        payload |= {name: value for name, value in given.items() if value is not None}
        if scopes := list(scopes):
            payload["scope"] = " ".join(scopes)
        if roles := list(roles):
            payload["roles"] = roles
        key = self.keys[0]
        headers = None if key.id is None else {"kid": key.id}
        return jwt.encode({**payload, **claims}, key.key, algorithm=key.algorithm, headers=headers)

    def verify(self, token: str) -> Claims:
        """Return what a token says.

        Raises:
            TokenExpiredError: It has expired.
            TokenError: It is none of ours, or not for us.
        """
        return _verify(token, self._find_candidates(token), self.issuer, self.audience, self.leeway)

    async def __call__(self, token: str) -> Claims:
        """Return what a token says, as every verifier does for `JWTBearer`; see `verify`."""
        return self.verify(token)

    def _find_candidates(self, token: str) -> list[tuple[object, str]]:
        id = _read_header(token).get("kid")
        keys = [key for key in self.keys if key.id == id] if id is not None else list(self.keys)
        return [(key.public, key.algorithm) for key in keys]

    def jwks(self) -> dict[str, list[JSONObject]]:
        """Return the public keys as a JSON Web Key Set (RFC 7517).

        Others verify tokens with them. Secrets are left out.
        """
        return {"keys": [key.jwk for key in self.keys if key.jwk is not None]}


class JWKS:
    """Verifies the tokens of an identity provider by the keys that it publishes.

    Keys are fetched when the first token comes, in a thread, and again when one with an unknown id does, but no more
    often than `refresh_interval` says.

    Args:
        url: Where the keys are, such as `https://login.example.com/.well-known/jwks.json`.
        issuer: `iss` of its tokens.
        audience: `aud`: this service.
        algorithms: What its tokens may be signed with; secrets' algorithms are refused, as their key would be public.
        leeway: How far clocks may differ, in seconds.
        lifespan: How long keys are kept, in seconds.
        timeout: How long the provider may take, in seconds.

    Raises:
        ValueError: An algorithm is one for secrets, or `none`.
    """

    refresh_interval = 10.0
    """Seconds between two requests for unknown keys: tokens with invented ids must not become the provider's load."""

    def __init__(
        self,
        url: str,
        *,
        issuer: str,
        audience: str,
        algorithms: Sequence[str] = ("RS256",),
        leeway: float = 0,
        lifespan: float = 300,
        timeout: float = 10,
    ) -> None:
        for algorithm in algorithms:
            if algorithm == "none" or algorithm.startswith("HS"):
                raise ValueError(f"Published keys cannot verify {algorithm}: anybody could sign with them.")
        self.issuer = issuer
        self.audience = audience
        self.algorithms = frozenset(algorithms)
        self.leeway = leeway
        self._client = jwt.PyJWKClient(url, cache_jwk_set=True, lifespan=int(lifespan), timeout=int(timeout))
        self._missed = -self.refresh_interval

    async def verify(self, token: str) -> Claims:
        """Return what a token says.

        Raises:
            TokenExpiredError: It has expired.
            TokenError: It is none of the provider's, not for us, or the provider cannot be asked.
        """
        id = _read_header(token).get("kid")
        key = await self._find(id)
        algorithm = key.algorithm_name
        if algorithm not in self.algorithms:
            raise TokenError(f"The token's key is for {algorithm}, which is not accepted.")
        return _verify(token, [(key.key, algorithm)], self.issuer, self.audience, self.leeway)

    async def __call__(self, token: str) -> Claims:
        """Return what a token says; see `verify`."""
        return await self.verify(token)

    async def _find(self, id: Any) -> PyJWK:
        try:
            keys = await run_in_threadpool(self._client.get_signing_keys)
            found = self._client.match_kid(keys, id)
            if found is None and time.monotonic() - self._missed > self.refresh_interval:
                self._missed = time.monotonic()
                found = self._client.match_kid(await run_in_threadpool(self._client.get_signing_keys, True), id)
        except jwt.PyJWKClientError as exc:
            raise TokenError("The issuer's keys cannot be read.") from exc
        if found is None:
            raise TokenError("The token is signed with a key that the issuer does not publish.")
        return found


def _read_header(token: str) -> JSONObject:
    try:
        return jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as exc:
        raise TokenError("This is no token.") from exc


def _verify(
    token: str, candidates: Iterable[tuple[Any, str]], issuer: str | None, audience: str | None, leeway: float
) -> Claims:
    reason: Exception | None = None
    for key, algorithm in candidates:
        try:
            # The key says which algorithm, never the token: otherwise a public key could be taken for a secret.
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=issuer,
                audience=audience,
                leeway=leeway,
                options={"require": list(_REQUIRED)},
            )
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as exc:
            reason = exc
        except jwt.ExpiredSignatureError as exc:
            raise TokenExpiredError("The token has expired.") from exc
        except jwt.InvalidTokenError as exc:
            raise TokenError(f"The token is not valid: {exc}.") from exc
        else:
            return Claims(claims)
    raise TokenError("The token is not signed by us.") from reason
