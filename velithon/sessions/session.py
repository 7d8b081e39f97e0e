"""The dictionary that a request sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

from velithon.middleware.sessions import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from velithon.sessions.records import Record

__all__ = ["ServerSession", "get_session"]


class ServerSession(Session):
    """A session, as a dictionary that JSON can carry.

    A change inside of a value needs `mark_modified()`.

    Emptying it ends it: the store forgets it, and the cookie is removed.
    """

    record: Record | None = None
    regenerated = False
    # Of the cookie that it was loaded by; whoever extends the cookie's lifetime needs it again.
    _identifier: str = ""
    _user: str | None = None
    _details: Mapping[str, Any] | None = None

    @property
    def user(self) -> str | None:
        """Whom the session belongs to, as `regenerate` was told."""
        if self.regenerated:
            return self._user
        return None if self.record is None else self.record.user

    @property
    def handle(self) -> str | None:
        """The name of the session in lists, which is no secret.

        `None` before the response of the first request was made.
        """
        return None if self.record is None else self.record.handle

    def regenerate(self, user: str | None = None, *, details: Mapping[str, object] | None = None) -> None:
        """Give the session a new identifier with this response.

        The old one is worth nothing from then on.

        Call it whenever somebody logs in, so that an identifier that was known before, perhaps to somebody else, does
        not become theirs; the absolute lifetime begins anew.

        Args:
            user: Whom the session belongs to from now on, for `list_sessions` and `revoke_sessions`.
            details: What lists show of it, as JSON can carry it, such as the browser's name.
        """
        self.mark_modified()
        self.regenerated = True
        self._user = user
        self._details = details


def get_session(connection: HTTPConnection) -> ServerSession:
    """Return `request.session` as what it is: a dependency, `Annotated[ServerSession, Depends(get_session)]`.

    Raises:
        RuntimeError: No `ServerSessionMiddleware` stands around the application, or something else took its place.
    """
    session = connection.session
    if not isinstance(session, ServerSession):
        raise RuntimeError(f"get_session() needs ServerSessionMiddleware; request.session is {type(session).__name__}.")
    return session
