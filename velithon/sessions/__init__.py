"""Sessions that are kept on the server.

The cookie holds an identifier, the store the session's data.

`request.session` is the dictionary that it is with signed cookies, with a new identifier at login
(`request.session.regenerate(user="alice")`), and the sessions of a user can be listed and revoked.
"""

from velithon.sessions.middleware import ServerSessionMiddleware, SessionUnavailableError
from velithon.sessions.records import SessionInfo, list_sessions, revoke_session, revoke_sessions
from velithon.sessions.session import ServerSession, get_session

__all__ = [
    "ServerSession",
    "ServerSessionMiddleware",
    "SessionInfo",
    "SessionUnavailableError",
    "get_session",
    "list_sessions",
    "revoke_session",
    "revoke_sessions",
]
