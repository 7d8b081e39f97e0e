"""Tokens: issuing, verifying, rotating keys, and what is refused."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.conftest import ClientFactory
from velithon import Depends, Velithon
from velithon.security.bearer import JWTBearer
from velithon.security.jwt import JWKS, JWT, Claims, Key, TokenError, TokenExpiredError

SECRET = "s" * 32


def pem(key: Any) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


RSA = rsa.generate_private_key(65537, 2048)
KEYS = {
    "HS256": SECRET.encode(),
    "HS512": b"s" * 64,
    "RS256": pem(RSA),
    "PS256": pem(RSA),
    "ES256": pem(ec.generate_private_key(ec.SECP256R1())),
    "EdDSA": pem(ed25519.Ed25519PrivateKey.generate()),
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_what_was_issued_is_verified(algorithm: str) -> None:
    tokens = JWT(Key(KEYS[algorithm], algorithm), issuer="https://a.example", audience="shop")
    claims = tokens.verify(tokens.issue("u1", scopes=["read", "write"], roles=["admin"], tenant=7))
    assert (claims.subject, sorted(claims.scopes), sorted(claims.roles)) == ("u1", ["read", "write"], ["admin"])
    assert (claims["iss"], claims["aud"], claims["tenant"]) == ("https://a.example", "shop", 7)
    assert claims["exp"] - claims["iat"] == 15 * 60


def test_keys_are_rotated() -> None:
    """A new key in front: it signs, and tokens of the old one are verified until that is removed."""
    old, new = Key(KEYS["ES256"], "ES256"), Key(KEYS["EdDSA"], "EdDSA")
    token = JWT([old]).issue("u1")
    both = JWT([new, old])
    assert both.verify(token).subject == "u1"
    assert pyjwt.get_unverified_header(both.issue("u1"))["kid"] == new.id
    with pytest.raises(TokenError, match="not signed by us"):
        JWT([new]).verify(token)


def forged(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def test_a_token_without_a_signature_is_refused() -> None:
    payload = {"sub": "u1", "iat": 1, "exp": 9_999_999_999}
    for algorithm in ("none", "None", "nOnE"):
        with pytest.raises(TokenError):
            JWT(SECRET).verify(forged({"alg": algorithm, "typ": "JWT"}, payload))


def test_a_public_key_is_no_secret() -> None:
    """The key says which algorithm, not the token: signed with the public key's text as a secret, it is refused."""
    import hashlib
    import hmac

    key = Key(KEYS["RS256"], "RS256")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, form)
    token = forged({"alg": "HS256", "kid": key.id}, {"sub": "u1", "iat": 1, "exp": 9_999_999_999})
    signed = token.rpartition(".")[0]
    signature = hmac.new(public, signed.encode(), hashlib.sha256).digest()
    with pytest.raises(TokenError, match="not signed by us"):
        JWT(key).verify(f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"exp": -5}, TokenExpiredError, "expired"),
        ({"iat": 600}, TokenError, "not yet valid"),
        ({"nbf": 600}, TokenError, "not yet valid"),
        ({"iss": "https://b.example"}, TokenError, "issuer"),
        ({"aud": "bank"}, TokenError, "udience"),
        ({"aud": None}, TokenError, "aud"),
        ({"exp": None}, TokenError, "exp"),
        ({"sub": None}, TokenError, "sub"),
    ],
)
def test_tokens_that_are_not_for_us_are_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    """Times are relative to the test's."""
    payload = {"sub": "u1", "iat": 0, "exp": 60, "iss": "https://a.example", "aud": "shop", **change}
    payload |= {
        name: int(time.time()) + payload[name] for name in ("iat", "exp", "nbf") if payload.get(name) is not None
    }
    token = pyjwt.encode({name: value for name, value in payload.items() if value is not None}, SECRET)
    with pytest.raises(error, match=message):
        JWT(SECRET, issuer="https://a.example", audience="shop").verify(token)


def test_clocks_may_differ_by_the_leeway() -> None:
    token = JWT(SECRET).issue("u1", lifetime=-5)
    with pytest.raises(TokenExpiredError):
        JWT(SECRET).verify(token)
    assert JWT(SECRET, leeway=60).verify(token).subject == "u1"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "....", "é.é.é", "e30.e30.", "\0"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenError):
        JWT(SECRET).verify(token)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("short",), "at least 32 bytes, not 5"),
        (("s" * 40, "HS384"), "at least 48 bytes, not 40"),
        (("s" * 40, "none"), "no algorithm 'none'"),
        (("s" * 40, "HS1"), "no algorithm 'HS1'"),
        (("s" * 40, "RS256"), "no key for RS256"),
    ],
)
def test_keys_that_are_none_are_told_at_once(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Key(*arguments)


def test_a_public_key_does_not_sign() -> None:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, form)
    with pytest.raises(ValueError, match="The first key signs"):
        JWT(Key(public, "RS256"))
    assert JWT([Key(SECRET, id="s"), Key(public, "RS256")]).verify(JWT(Key(KEYS["RS256"], "RS256")).issue("u1")).subject


@contextmanager
def provider(*published: list[dict[str, Any]]) -> Iterator[tuple[str, list[float]]]:
    """Publish key sets, one after the other, the last for good; yield the URL and the times of the requests."""
    asked: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys = published[min(len(asked), len(published) - 1)]
            asked.append(time.monotonic())
            body = json.dumps({"keys": keys}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.asyncio
async def test_published_keys_verify_a_providers_tokens() -> None:
    theirs = JWT(Key(KEYS["RS256"], "RS256"), issuer="https://login.example", audience="shop")
    with provider(theirs.jwks()["keys"]) as (url, asked):
        keys = JWKS(url, issuer="https://login.example", audience="shop")
        for _ in range(3):
            assert (await keys.verify(theirs.issue("u1"))).subject == "u1"
        assert len(asked) == 1
        with pytest.raises(TokenError, match="not valid"):
            await keys.verify(JWT(theirs.keys, issuer="https://login.example", audience="bank").issue("u1"))


@pytest.mark.asyncio
async def test_new_keys_are_fetched_and_invented_ones_only_now_and_then() -> None:
    old, new = Key(KEYS["RS256"], "RS256"), Key(pem(rsa.generate_private_key(65537, 2048)), "RS256")
    issuer = "https://login.example"
    with provider([old.jwk or {}], [new.jwk or {}, old.jwk or {}]) as (url, asked):
        keys = JWKS(url, issuer=issuer, audience="shop")
        await keys.verify(JWT(old, issuer=issuer, audience="shop").issue("u1"))
        await keys.verify(JWT(new, issuer=issuer, audience="shop").issue("u1"))
        assert len(asked) == 2
        for number in range(5):
            invented = JWT(Key(KEYS["RS256"], "RS256", id=f"invented-{number}"), issuer=issuer, audience="shop")
            with pytest.raises(TokenError, match="does not publish"):
                await keys.verify(invented.issue("u1"))
        assert len(asked) == 2


@pytest.mark.asyncio
async def test_a_provider_that_cannot_be_asked_is_a_refused_token() -> None:
    keys = JWKS("http://127.0.0.1:9/jwks.json", issuer="https://login.example", audience="shop")
    with pytest.raises(TokenError, match="keys cannot be read"):
        await keys.verify(JWT(Key(KEYS["RS256"], "RS256")).issue("u1"))


def test_published_keys_never_verify_secrets() -> None:
    for algorithm in ("HS256", "none"):
        with pytest.raises(ValueError, match="anybody could sign"):
            JWKS("https://login.example", issuer="a", audience="b", algorithms=["RS256", algorithm])


def application() -> tuple[Velithon, JWT]:
    app, tokens = Velithon(), JWT(SECRET)
    bearer = JWTBearer(tokens, scheme_name="token")

    @app.get("/me")
    async def me(claims: Claims = Depends(bearer)) -> str:
        return claims.subject

    @app.get("/orders")
    async def orders(claims: Claims = bearer.requires("orders:read")) -> str:
        return claims.subject

    @app.get("/admin")
    async def admin(claims: Claims = bearer.has_role("admin", "owner")) -> str:
        return claims.subject

    return app, tokens


def test_requests_are_answered_by_what_their_token_says(client: ClientFactory) -> None:
    app, tokens = application()
    c = client(app)

    def get(path: str, token: str | None) -> Any:
        return c.get(path, headers={} if token is None else {"authorization": f"Bearer {token}"})

    assert get("/me", tokens.issue("u1")).json() == "u1"
    assert get("/orders", tokens.issue("u1", scopes=["orders:read"])).json() == "u1"
    assert get("/admin", tokens.issue("u1", roles=["owner"])).json() == "u1"
    for path in ("/me", "/orders", "/admin"):
        answer = get(path, None)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        answer = get(path, "x")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        expired = get(path, tokens.issue("u1", lifetime=-1))
        assert (expired.status_code, expired.json()) == (401, {"detail": "The token has expired."})
    lacking = get("/orders", tokens.issue("u1", scopes=["orders:write"]))
    assert (lacking.status_code, lacking.json()) == (403, {"detail": "The token lacks the scope orders:read."})
    assert 'error="insufficient_scope"' in lacking.headers["www-authenticate"]
    assert 'scope="orders:read"' in lacking.headers["www-authenticate"]
    assert get("/admin", tokens.issue("u1", roles=["clerk"])).status_code == 403


def test_the_document_shows_scheme_scopes_and_refusals() -> None:
    app, _ = application()
    document = app.openapi()
    scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert document["components"]["securitySchemes"] == {"token": scheme}
    assert document["paths"]["/orders"]["get"]["security"] == [{"token": ["orders:read"]}]
    assert "403" in document["paths"]["/admin"]["get"]["responses"]
