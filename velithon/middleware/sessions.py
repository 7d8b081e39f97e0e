"""Sessions in signed cookies, which the extra `sessions` makes possible."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Literal

try:
    import itsdangerous
except ImportError as exc:
    raise ImportError("velithon.middleware.sessions needs itsdangerous: pip install 'velithon[sessions]'") from exc

from starlette.middleware.sessions import Session
from starlette.middleware.sessions import SessionMiddleware as StarletteSessionMiddleware

from velithon.middleware.base import BaseHTTPMiddleware

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import Secret
    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response

__all__ = ["Session", "SessionMiddleware"]

EXPIRED = "expires=Thu, 01 Jan 1970 00:00:00 GMT; "


class SessionMiddleware(BaseHTTPMiddleware, StarletteSessionMiddleware):
    """Keeps `request.session`, a dictionary that JSON can carry, in a cookie.

    The cookie is signed, not encrypted: a visitor can read it, and cannot change it. It is `HttpOnly`. It is sent when
    the session was changed, and removed when it was emptied.

    Args:
        app: The next layer.
        secret_key: Signs the cookies. Of several the first one signs, and all are accepted: to rotate, put the new key
            in front and remove the old one after `max_age`.
        session_cookie: The cookie's name.
        max_age: How long a session lasts after its last change, in seconds; `None` until the browser is closed.
        path: The cookie's path.
        same_site: Whether requests from other sites bring the cookie.
        https_only: Whether the cookie is `Secure`: only sent over HTTPS. Say `True` in production.
        domain: The cookie's domain; by default the host itself.
        partitioned: Whether the cookie is kept apart for each top-level site (CHIPS).

    Raises:
        ValueError: There is no key, or one is empty.
    """

    def __init__(
        self,
        app: ASGIApp,
        secret_key: str | Secret | Sequence[str | Secret],
        session_cookie: str = "session",
        max_age: int | None = 14 * 24 * 60 * 60,
        path: str = "/",
        same_site: Literal["lax", "strict", "none"] = "lax",
        https_only: bool = False,
        domain: str | None = None,
        partitioned: bool = False,
    ) -> None:
        given = secret_key if isinstance(secret_key, list | tuple) else [secret_key]
        keys = [str(key) for key in given]
        if not keys or not all(keys):
            raise ValueError("SessionMiddleware needs a secret_key, or several, and none of them empty.")
        StarletteSessionMiddleware.__init__(
            self, app, keys[0], session_cookie, max_age, path, same_site, https_only, domain, partitioned
        )
        BaseHTTPMiddleware.__init__(self, app)
        # itsdangerous signs with the last one.
        self.signer = itsdangerous.TimestampSigner(list(reversed(keys)))

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Load the session, and send it back if it was changed."""
        session = self._load(request.cookies.get(self.session_cookie))
        loaded = session is not None
        request.scope["session"] = session if session is not None else Session()
        response = await call_next(request)
        # Whoever put another dictionary in its place meant that one to be kept.
        self._save(response, request.scope["session"], loaded)
        return response

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Load the session; what a WebSocket changes in it is not sent."""
        await StarletteSessionMiddleware.__call__(self, scope, receive, send)

    def _load(self, cookie: str | None) -> Session | None:
        if cookie is None:
            return None
        try:
            data = self.signer.unsign(cookie.encode(), max_age=self.max_age)
        except (itsdangerous.BadSignature, UnicodeEncodeError):
            return None
        return Session(json.loads(b64decode(data)))

    def _save(self, response: Response, session: dict[str, Any], loaded: bool) -> None:
        if not isinstance(session, Session):
            replacement = Session(session)
            replacement.mark_modified()
            session = replacement
        if session.accessed:
            response.add_vary("Cookie")
        if not session.modified or not (session or loaded):
            return
        if session:
            value = self.signer.sign(b64encode(json.dumps(session).encode())).decode()
            lifetime = "" if self.max_age is None else f"Max-Age={self.max_age}; "
        else:
            value, lifetime = "null", EXPIRED
        cookie = f"{self.session_cookie}={value}; path={self.path}; {lifetime}{self.security_flags}"
        response.append_header("set-cookie", cookie)
