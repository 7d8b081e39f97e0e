"""A key that the client sends in a query parameter, a header or a cookie."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from velithon.security.base import SchemeModel, SecurityBase

__all__ = ["APIKeyBase", "APIKeyCookie", "APIKeyHeader", "APIKeyQuery"]


class APIKeyBase(SecurityBase):
    """A key under a name.

    Args:
        name: The name of the query parameter, header or cookie.
        scheme_name: The name in documents; the class's by default.
        description: For documents, in Markdown.
        auto_error: Whether a request without the key is answered 401; otherwise the value is ``None``.
    """

    location: str

    def __init__(
        self,
        *,
        name: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        model = SchemeModel(type="apiKey", description=description, **{"in": self.location}, name=name)
        super().__init__(model, scheme_name, auto_error)
        self.name = name

    def make_authenticate_headers(self) -> dict[str, str]:
        """Return the challenge.

        No RFC names a scheme for keys, ``APIKey`` is what clients of FastAPI see.
        """
        return {"WWW-Authenticate": "APIKey"}

    def check_api_key(self, api_key: str | None) -> str | None:
        """Return the key, or refuse a request that has none.

        Raises:
            HTTPException: 401, unless ``auto_error`` is off.
        """
        if api_key:
            return api_key
        self.refuse()
        return None


class APIKeyQuery(APIKeyBase):
    """A key in the query: ``?name=key``."""

    location = "query"

    async def __call__(self, request: HTTPConnection) -> str | None:
        """Return the key."""
        return self.check_api_key(request.query_params.get(self.name))


class APIKeyHeader(APIKeyBase):
    """A key in a header of its own."""

    location = "header"

    async def __call__(self, request: HTTPConnection) -> str | None:
        """Return the key."""
        return self.check_api_key(request.headers.get(self.name))


class APIKeyCookie(APIKeyBase):
    """A key in a cookie."""

    location = "cookie"

    async def __call__(self, request: HTTPConnection) -> str | None:
        """Return the key."""
        return self.check_api_key(request.cookies.get(self.name))
