"""The layer that loads sessions from a store and keeps what has changed."""

from __future__ import annotations

import asyncio
import logging
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import anyio
from starlette.requests import HTTPConnection

from velithon.exceptions import HTTPException
from velithon.middleware.base import BaseHTTPMiddleware
from velithon.middleware.sessions import EXPIRED
from velithon.responses import JSONResponse
from velithon.sessions.records import NAMESPACE, Record, Sessions, compute_handle, new_identifier, now
from velithon.sessions.session import ServerSession
from velithon.stores.base import StoreError
from velithon.stores.option import StoreOption

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from velithon.middleware.base import CallNext
    from velithon.requests.request import Request
    from velithon.responses.base import Response
    from velithon.stores import Store

__all__ = ["ServerSessionMiddleware", "SessionUnavailableError"]

logger = logging.getLogger("velithon.sessions")

_DAY = 24 * 60 * 60
# The longest identifier that is looked for.
_LONGEST = 128


class SessionUnavailableError(HTTPException):
    """A session cannot be loaded or kept, as the store is away."""

    def __init__(self) -> None:
        super().__init__(503, "Service Unavailable", {"Retry-After": "1"})


class ServerSessionMiddleware(BaseHTTPMiddleware):
    """Keeps `request.session` in a store.

    The cookie holds a random identifier, of which the store knows the digest.

    Without a cookie nothing is asked of the store. A session is written when it was changed, and now and then while it
    is used. Of two requests that change one session at the same time, the later one's changes are kept. While the store
    is away, requests with a session are answered with 503.

    Args:
        app: The next layer.
        store: Where, a store or its URL; the application's by default.
        session_cookie: The cookie's name; `__Host-session` has browsers insist on HTTPS, this host and the path `/`.
        idle_timeout: How long a session lasts after it was last used, in seconds.
        absolute_timeout: How long it lasts at most, since it began or was regenerated; `None` has no end.
        path: The cookie's path.
        same_site: Whether requests from other sites bring the cookie.
        https_only: Whether the cookie is `Secure`: only sent over HTTPS. Say `True` in production.
        domain: The cookie's domain; by default the host itself.
        partitioned: Whether the cookie is kept apart for each top-level site (CHIPS).

    Raises:
        ValueError: A timeout is not more than 0.
    """

    def __init__(
        self,
        app: ASGIApp,
        store: Store | str | None = None,
        *,
        session_cookie: str = "session",
        idle_timeout: float = 14 * _DAY,
        absolute_timeout: float | None = 90 * _DAY,
        path: str = "/",
        same_site: Literal["lax", "strict", "none"] = "lax",
        https_only: bool = False,
        domain: str | None = None,
        partitioned: bool = False,
    ) -> None:
        super().__init__(app)
        if not idle_timeout > 0 or (absolute_timeout is not None and not absolute_timeout > 0):
            raise ValueError("idle_timeout and absolute_timeout must be more than 0 seconds.")
        self.session_cookie = session_cookie
        self.idle_timeout = idle_timeout
        self.absolute_timeout = absolute_timeout
        self.path = path
        flags = ["httponly", f"samesite={same_site}"]
        flags += ["secure"] if https_only else []
        flags += [f"domain={domain}"] if domain is not None else []
        flags += ["partitioned"] if partitioned else []
        self.security_flags = "; ".join(flags)
        self._store = StoreOption(store, NAMESPACE)
        self._is_away = False

    async def dispatch(self, request: Request, call_next: CallNext) -> Response:
        """Load the session, and keep it if it was changed."""
        sessions = Sessions(self._store.of(request.app))
        try:
            session = await self._load(sessions, request.cookies.get(self.session_cookie))
        except StoreError as exc:
            return await self._answer_unavailable(request, exc)
        request.scope["session"] = session
        response = await call_next(request)
        try:
            await self._save(sessions, response, session, request.scope["session"])
        except StoreError as exc:
            return await self._answer_unavailable(request, exc)
        return response

    async def dispatch_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Load the session.

        What a WebSocket changes in it is kept at its end, where a request has begun it.
        """
        connection = HTTPConnection(scope)
        sessions = Sessions(self._store.of(scope.get("app")))
        try:
            session = await self._load(sessions, connection.cookies.get(self.session_cookie))
        except StoreError as exc:
            self._log(exc)
            await receive()
            await send({"type": "websocket.close", "code": 1013, "reason": "Service Unavailable"})
            return
        scope["session"] = session
        try:
            await self.app(scope, receive, send)
        except asyncio.CancelledError:
            # The client has left, as it may at any time.
            await self._keep_websocket(sessions, session)
            raise
        await self._keep_websocket(sessions, session)

    async def _keep_websocket(self, sessions: Sessions, session: ServerSession) -> None:
        record = session.record
        if record is None or not session.modified or not session or session.regenerated:
            return
        record.data, record.seen = dict(session), now()
        with anyio.CancelScope(shield=True):
            try:
                await sessions.rewrite(record, self._compute_lifetime(record))
            except StoreError as exc:
                self._log(exc)

    async def _load(self, sessions: Sessions, identifier: str | None) -> ServerSession:
        if not identifier or len(identifier) > _LONGEST:
            return ServerSession()
        record = await sessions.load(compute_handle(identifier))
        if self._is_away:
            self._is_away = False
            logger.warning("Sessions are kept again")
        if record is None or self._compute_lifetime(record) <= 0 or now() - record.seen > self.idle_timeout:
            return ServerSession()
        session = ServerSession(record.data)
        session.record = record
        session._identifier = identifier
        return session

    def _compute_lifetime(self, record: Record) -> float:
        """Return for how long a session that is used now is kept, in seconds."""
        if self.absolute_timeout is None:
            return self.idle_timeout
        return min(self.idle_timeout, record.created + self.absolute_timeout - now())

    async def _save(self, sessions: Sessions, response: Response, loaded: ServerSession, current: object) -> None:
        record = loaded.record
        session = current if isinstance(current, ServerSession) else _replace_session(loaded, current)
        if session.accessed or loaded.accessed:
            response.add_vary("Cookie")
        if not session and not session.regenerated:
            if record is not None and session.modified:
                await sessions.remove(record.handle, record.user)
                self._remove_cookie(response)
        elif record is None or session.regenerated:
            if session.modified:
                await self._begin(sessions, response, session, record)
        elif session.modified or now() - record.seen > self.idle_timeout / 20:
            record.data, record.seen = dict(session), now()
            if await sessions.rewrite(record, self._compute_lifetime(record)):
                self._set_cookie(response, loaded._identifier, self._compute_lifetime(record))
            else:
                # Revoked while it was used.
                self._remove_cookie(response)

    async def _begin(
        self, sessions: Sessions, response: Response, session: ServerSession, before: Record | None
    ) -> None:
        if before is not None and not await sessions.remove(before.handle, before.user):
            # Revoked while it was used: what it held is not to live on under another identifier.
            self._remove_cookie(response)
            return
        identifier, time = new_identifier(), now()
        details = dict(session._details or {})
        record = Record(compute_handle(identifier), dict(session), time, time, session.user, details)
        await sessions.add(record, self._compute_lifetime(record))
        self._set_cookie(response, identifier, self._compute_lifetime(record))

    def _set_cookie(self, response: Response, identifier: str, lifetime: float) -> None:
        cookie = f"{self.session_cookie}={identifier}; path={self.path}; Max-Age={max(1, ceil(lifetime))}; "
        response.append_header("set-cookie", cookie + self.security_flags)

    def _remove_cookie(self, response: Response) -> None:
        cookie = f"{self.session_cookie}=null; path={self.path}; {EXPIRED}{self.security_flags}"
        response.append_header("set-cookie", cookie)

    async def _answer_unavailable(self, request: Request, exc: StoreError) -> Response:
        self._log(exc)
        error = SessionUnavailableError()
        errors = getattr(request.app, "_errors", None)
        if errors is None:
            return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
        response: Response = await errors.respond(request, error)
        return response

    def _log(self, exc: StoreError) -> None:
        if not self._is_away:
            self._is_away = True
            logger.error("Sessions cannot be loaded or kept: %s", exc)


def _replace_session(loaded: ServerSession, current: Any) -> ServerSession:
    """Return the dictionary that somebody put in the session's place, as that session."""
    session = ServerSession(current)
    session.record = loaded.record
    session.mark_modified()
    return session
