"""Protection against cross-site request forgery (CSRF) for applications that log users in by cookie.

A browser sends cookies along with a request that another site's page makes. Three things tell such a request, and all
that are there are asked: `Sec-Fetch-Site` and `Origin`, which pages cannot set, and a token that is in a cookie and,
once more, in a header or a form: other sites' pages can send the cookie, but cannot read it (OWASP's signed double
submit).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from velithon.middleware.base import BaseHTTPMiddleware
from velithon.responses.json import JSONResponse
from velithon.signature.bodies.form import close_form
from velithon.signature.exits import Exits
from velithon.signature.runtime import hand_over_exits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.datastructures import State
    from starlette.requests import Request as StarletteRequest
    from starlette.types import ASGIApp

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["CSRFMiddleware", "csrf_token"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, section 9.2.1), and are let through."""

_SHORTEST_KEY = 32
_STATE = "velithon.csrf"
_FOREIGN = "The request comes from another site."
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def csrf_token(request: StarletteRequest[State]) -> str:
    """Return the token for a form's hidden field, or for a script.

    The cookie is set by this response if it is new.

    Raises:
        RuntimeError: There is no `CSRFMiddleware`.
    """
    state: _Token | None = request.scope.get(_STATE)
    if state is None:
        raise RuntimeError("csrf_token() needs the CSRFMiddleware around the application.")
    state.is_used = True
    return state.value


class _Token:
    """The token of one request."""

    __slots__ = ("is_new", "is_used", "value")

    def __init__(self, value: str, is_new: bool) -> None:
        self.value = value
        self.is_new = is_new
        self.is_used = False


class CSRFMiddleware(BaseHTTPMiddleware):
    """Refuses forged requests with 403.

    Args:
        app: The next layer.
        secret_key: Signs the tokens; at least 32 characters, and the same in every process.
        bind: What a token belongs to, such as `lambda request: request.session.get("user", "")`: a token of one user
            then is none of another's. By default a token belongs to whoever has its cookie.
        exempt_paths: Paths, and with a `*` at their end beginnings of paths, that are let through: such as webhooks,
            which have a signature of their own, and APIs that read no cookie.
        trusted_origins: Other origins whose pages may send requests, such as `https://app.example.com`.
        cookie_name: The cookie's name; `__Host-` in front of it keeps subdomains from setting it, over HTTPS alone.
        header_name: The header in which scripts send the token.
        field_name: The form field in which forms send it.
        max_age: How long the cookie lasts, in seconds; `None` until the browser is closed.
        same_site: Whether requests from other sites bring the cookie.
        https_only: Whether the cookie is `Secure`. Say `True` in production.

    Raises:
        ValueError: The key is too short, or an origin is none.
    """

    def __init__(
        self,
        app: ASGIApp,
        secret_key: str,
        *,
        bind: Callable[[Request], str] | None = None,
        exempt_paths: Collection[str] = (),
        trusted_origins: Collection[str] = (),
        cookie_name: str = "csrftoken",
        header_name: str = "x-csrf-token",
        field_name: str = "csrf_token",
        max_age: int | None = None,
        same_site: Literal["lax", "strict", "none"] = "lax",
        https_only: bool = False,
    ) -> None:
        super().__init__(app)
        if len(secret_key) < _SHORTEST_KEY:
            raise ValueError(
                f"CSRFMiddleware's secret_key has at least {_SHORTEST_KEY} characters, not {len(secret_key)}."
            )
        if isinstance(exempt_paths, str) or isinstance(trusted_origins, str):
            raise ValueError("CSRFMiddleware takes lists of exempt_paths and trusted_origins, not a str.")
        for origin in trusted_origins:
            if not urlsplit(origin).netloc or urlsplit(origin).path:
                raise ValueError(f"An origin looks like 'https://example.org', without a path: got {origin!r}.")
        self.key = secret_key.encode()
        self.bind = bind
        self.exempt = frozenset(path for path in exempt_paths if not path.endswith("*"))
        self.exempt_starts = tuple(path[:-1] for path in exempt_paths if path.endswith("*"))
        self.origins = frozenset(origin.lower() for origin in trusted_origins)
        self.cookie_name = cookie_name
        self.header_name = header_name.lower()
        self.field_name = field_name
        attributes = f"; Path=/; SameSite={same_site}" + ("; Secure" if https_only else "")
        self.attributes = attributes + ("" if max_age is None else f"; Max-Age={max_age}")

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Check the request, and set the cookie where a page asked for a token."""
        owner = "" if self.bind is None else self.bind(request)
        given = request.cookies.get(self.cookie_name, "")
        is_ours = self._is_signed(given, owner)
        token = _Token(given if is_ours else self._make(owner), not is_ours)
        request.scope[_STATE] = token
        if request.method not in SAFE_METHODS and not self._is_exempt(request._path):
            refusal = self._check_site(request) or await self._check_token(request, given if is_ours else None)
            if refusal is not None:
                return JSONResponse({"detail": refusal}, 403)
        response = await call_next(request)
        if token.is_used:
            # What holds a token is one visitor's.
            response.add_vary("Cookie")
            if token.is_new:
                response.append_header("set-cookie", f"{self.cookie_name}={token.value}{self.attributes}")
        return response

    def _make(self, owner: str) -> str:
        nonce = secrets.token_urlsafe(24)
        return f"{nonce}.{self._sign(nonce, owner)}"

    def _sign(self, nonce: str, owner: str) -> str:
        return hmac.new(self.key, f"{nonce}\0{owner}".encode(), hashlib.sha256).hexdigest()

    def _is_signed(self, token: str, owner: str) -> bool:
        nonce, _, signature = token.partition(".")
        return bool(nonce) and hmac.compare_digest(signature.encode(), self._sign(nonce, owner).encode())

    def _is_exempt(self, path: str) -> bool:
        return path in self.exempt or (bool(self.exempt_starts) and path.startswith(self.exempt_starts))

    def _check_site(self, request: Request) -> str | None:
        """Return why a request is refused that a browser says comes from elsewhere; other clients say nothing."""
        origin = request.headers.get("origin")
        if origin is None:
            site = request.headers.get("sec-fetch-site", "none")
            return None if site in ("same-origin", "none") else _FOREIGN
        own = f"{request.url.scheme}://{request.url.netloc}"
        return None if origin.lower() in {own.lower(), *self.origins} else _FOREIGN

    async def _check_token(self, request: Request, expected: str | None) -> str | None:
        sent = request.headers.get(self.header_name)
        if sent is None and request.headers.get("content-type", "").partition(";")[0].strip().lower() in _FORMS:
            form = await request.form()
            # The endpoint may not read the form, and then nobody else would close its files.
            stack = Exits()
            stack.push_async_callback(close_form, form)
            hand_over_exits(request, stack)
            value = form.get(self.field_name)
            sent = value if isinstance(value, str) else None
        if expected is None or sent is None or not hmac.compare_digest(sent.encode(), expected.encode()):
            return "The CSRF token is missing or wrong: load the page again."
        return None
