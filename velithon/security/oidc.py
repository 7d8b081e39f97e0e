"""Logging in at an OpenID provider, by authlib; needs `pip install "velithon[oidc]"`.

The code flow of OpenID Connect, with all that protects it: `state` ties the answer to the browser that asked, `nonce`
the identity token to that login, PKCE the code to whoever asked for it (RFC 9700, section 2.1). What a login needs to
remember is in `request.session`, so the application has a session middleware.

Exceptions:

    OpenIDError         a login did not come about, answered with 400
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from velithon.exceptions import HTTPException
from velithon.responses import RedirectResponse

try:
    import httpx2
    from authlib.common.errors import AuthlibBaseError
    from authlib.integrations.starlette_client import OAuth
    from joserfc.errors import JoseError
except ImportError as exc:
    raise ImportError('velithon.security.oidc needs authlib: pip install "velithon[oidc]"') from exc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

__all__ = ["OpenIDError", "OpenIDIdentity", "OpenIDLogin"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class OpenIDError(HTTPException):
    """A login at the provider did not come about: the user may try again."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail)


@dataclass(frozen=True, slots=True)
class OpenIDIdentity:
    """Who somebody is, as the provider says it.

    Attributes:
        issuer: The provider.
        subject: Names the user there, for good; an address may change hands.
        email: An address that the provider has confirmed, or `None`.
        name: What they are called, or `None`.
        claims: All that the identity token says.
    """

    issuer: str
    subject: str
    email: str | None
    name: str | None
    claims: Mapping[str, Any]


class OpenIDLogin:
    """A provider by which users log in.

    Args:
        issuer: The provider, such as `https://accounts.example.com`; its configuration is read at the first login.
        client_id: This application's, from the provider.
        client_secret: Likewise; `None` for a public client.
        scopes: What is asked for besides `openid`.
        name: Tells several providers of one application apart.
        timeout: Seconds that the provider may take for an answer.

    Raises:
        ValueError: The issuer is no https URL, or has no client.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        scopes: Sequence[str] = ("email", "profile"),
        name: str = "openid",
        timeout: float = 10.0,
    ) -> None:
        parts = urlsplit(issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
            raise ValueError(f"An issuer is an https:// URL, or http:// on this machine, not {issuer!r}.")
        if not client_id:
            raise ValueError("OpenIDLogin needs the client_id that the provider gave this application.")
        self.issuer = issuer.rstrip("/")
        self.client_id = client_id
        self._client: Any = OAuth().register(
            name,
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{self.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(dict.fromkeys(("openid", *scopes))),
                "code_challenge_method": "S256",
                "timeout": timeout,
            },
        )

    async def redirect(self, request: Request, redirect_uri: str, **parameters: str) -> RedirectResponse:
        """Send somebody to the provider.

        Args:
            request: Its session keeps what the way back is checked against.
            redirect_uri: Where the provider sends them back, as it was registered there.
            parameters: Further ones for the provider, such as `prompt="select_account"`.

        Raises:
            OpenIDError: The provider does not answer, or is somebody else.
        """
        await self._check_metadata()
        made = await self._client.create_authorization_url(redirect_uri, **parameters)
        await self._client.save_authorize_data(request, redirect_uri=redirect_uri, **made)
        return RedirectResponse(made["url"], status_code=302)

    async def identity(self, request: Request) -> OpenIDIdentity:
        """Return who came back from the provider.

        Call `regenerate()` on the session then, as after every login.

        Args:
            request: The one to the `redirect_uri`.

        Raises:
            OpenIDError: The user did not agree, the answer belongs to no login of this browser, or it is not what the
                provider may say.
        """
        await self._check_metadata()
        options = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self.client_id},
            "sub": {"essential": True},
        }
        try:
            token = await self._client.authorize_access_token(request, claims_options=options)
        except (AuthlibBaseError, JoseError, httpx2.HTTPError, ValueError) as exc:
            raise OpenIDError("The login at the provider did not come about.") from exc
        claims: dict[str, Any] | None = token.get("userinfo")
        if claims is None:
            raise OpenIDError("The provider does not say who you are.")
        confirmed = claims.get("email") if claims.get("email_verified") is True else None
        return OpenIDIdentity(self.issuer, str(claims["sub"]), confirmed, claims.get("name"), dict(claims))

    async def _check_metadata(self) -> None:
        try:
            metadata: dict[str, Any] = await self._client.load_server_metadata()
        except (httpx2.HTTPError, ValueError) as exc:
            raise OpenIDError("The provider does not answer.") from exc
        # OpenID Connect Discovery 1.0, section 4.3: whose configuration this is must be whom we asked.
        if str(metadata.get("issuer", "")).rstrip("/") != self.issuer:
            raise OpenIDError("The provider is not the one that was asked.")
        # Published keys verify no secret's signature, and `none` is none.
        given = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [
            algorithm for algorithm in given if algorithm != "none" and not algorithm.startswith("HS")
        ]
