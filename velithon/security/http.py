"""The schemes of the ``Authorization`` header: Basic (RFC 7617), Bearer (RFC 6750), Digest (RFC 7616)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from pydantic import BaseModel
from starlette.requests import HTTPConnection

from velithon.security.base import SchemeModel, SecurityBase, choose_spelling
from velithon.security.utils import get_authorization_scheme_param

__all__ = [
    "HTTPAuthorizationCredentials",
    "HTTPBase",
    "HTTPBasic",
    "HTTPBasicCredentials",
    "HTTPBearer",
    "HTTPDigest",
]


class HTTPBasicCredentials(BaseModel):
    """What ``HTTPBasic`` gives. Compare with ``secrets.compare_digest``."""

    username: str
    password: str


class HTTPAuthorizationCredentials(BaseModel):
    """The `Authorization` header: its scheme as the client wrote it, and the rest."""

    scheme: str
    credentials: str


class HTTPBase(SecurityBase):
    """Any scheme of the ``Authorization`` header.

    Args:
        scheme: Its name for documents, in lower case.
        scheme_name: The name in documents; the class's by default.
        description: For documents, in Markdown.
        auto_error: Whether a request without credentials is answered 401; otherwise the value is ``None``.
    """

    expected: str | None = None

    def __init__(
        self,
        *,
        scheme: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
        **members: Any,
    ) -> None:
        model = SchemeModel(type="http", description=description, scheme=scheme, **members)
        super().__init__(model, scheme_name, auto_error)

    def make_authenticate_headers(self) -> dict[str, str]:
        """Return the challenge: the scheme's name."""
        return {"WWW-Authenticate": self.model.scheme.title()}

    async def __call__(self, request: HTTPConnection) -> Any:
        """Return ``HTTPAuthorizationCredentials``."""
        scheme, credentials = get_authorization_scheme_param(request.headers.get("Authorization"))
        if not (scheme and credentials) or self.expected not in (None, scheme.lower()):
            self.refuse()
            return None
        return HTTPAuthorizationCredentials(scheme=scheme, credentials=credentials)


class HTTPBasic(HTTPBase):
    """User name and password (RFC 7617).

    Args:
        scheme_name: The name in documents; the class's by default.
        realm: Named in the challenge: what the password is for.
        description: For documents, in Markdown.
        auto_error: Whether a request without credentials is answered 401; otherwise the value is ``None``. Credentials
            that cannot be read are answered 401 in any case.
    """

    def __init__(
        self,
        *,
        scheme_name: str | None = None,
        realm: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(scheme="basic", scheme_name=scheme_name, description=description, auto_error=auto_error)
        self.realm = realm

    def make_authenticate_headers(self) -> dict[str, str]:
        """Return the challenge, with the realm if there is one."""
        return {"WWW-Authenticate": f'Basic realm="{self.realm}"' if self.realm else "Basic"}

    async def __call__(self, request: HTTPConnection) -> HTTPBasicCredentials | None:
        """Return user name and password."""
        scheme, param = get_authorization_scheme_param(request.headers.get("Authorization"))
        if scheme.lower() != "basic":
            self.refuse()
            return None
        try:
            text = b64decode(param).decode("ascii")
        except (ValueError, binascii.Error) as error:
            raise self.make_not_authenticated_error() from error
        username, separator, password = text.partition(":")
        if not separator:
            raise self.make_not_authenticated_error()
        return HTTPBasicCredentials(username=username, password=password)


class HTTPBearer(HTTPBase):
    """A token: ``Authorization: Bearer token`` (RFC 6750).

    Args:
        bearerFormat: What the token is, for documents (``JWT``); also spelled ``bearer_format``.
        scheme_name: The name in documents; the class's by default.
        description: For documents, in Markdown.
        auto_error: Whether a request without a token is answered 401; otherwise the value is ``None``.
        bearer_format: See ``bearerFormat``.
    """

    expected = "bearer"

    def __init__(
        self,
        *,
        bearerFormat: str | None = None,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
        bearer_format: str | None = None,
    ) -> None:
        super().__init__(
            scheme="bearer",
            scheme_name=scheme_name,
            description=description,
            auto_error=auto_error,
            bearerFormat=choose_spelling(
                {"bearerFormat": bearerFormat, "bearer_format": bearer_format}, required=False
            ),
        )


class HTTPDigest(HTTPBase):
    """Digest credentials, as the client sent them (RFC 7616); checking them is the application's.

    Args:
        scheme_name: The name in documents; the class's by default.
        description: For documents, in Markdown.
        auto_error: Whether a request without credentials is answered 401; otherwise the value is ``None``.
    """

    expected = "digest"

    def __init__(
        self, *, scheme_name: str | None = None, description: str | None = None, auto_error: bool = True
    ) -> None:
        super().__init__(scheme="digest", scheme_name=scheme_name, description=description, auto_error=auto_error)
