"""OpenID Connect Discovery."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from velithon.security.base import SchemeModel, SecurityBase, choose_spelling

__all__ = ["OpenIdConnect"]


class OpenIdConnect(SecurityBase):
    """Describes an OpenID Connect provider in documents; gives the whole ``Authorization`` header.

    Args:
        openIdConnectUrl: Where the provider's discovery document is; also spelled ``open_id_connect_url``.
        scheme_name: The name in documents; the class's by default.
        description: For documents, in Markdown.
        auto_error: Whether a request without the header is answered 401; otherwise the value is ``None``.
        open_id_connect_url: See ``openIdConnectUrl``.
    """

    def __init__(
        self,
        *,
        openIdConnectUrl: str | None = None,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
        open_id_connect_url: str | None = None,
    ) -> None:
        url = choose_spelling({"openIdConnectUrl": openIdConnectUrl, "open_id_connect_url": open_id_connect_url})
        model = SchemeModel(type="openIdConnect", description=description, openIdConnectUrl=url)
        super().__init__(model, scheme_name, auto_error)

    async def __call__(self, request: HTTPConnection) -> str | None:
        """Return the ``Authorization`` header."""
        authorization = request.headers.get("Authorization")
        if not authorization:
            self.refuse()
        return authorization or None
