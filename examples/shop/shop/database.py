"""The database: one session and one transaction for a request."""

from typing import Annotated, Any

from sqlalchemy.ext.asyncio import AsyncSession
from velithon.ext.sqlalchemy import Database

from shop.settings import get_settings

# Seconds. SQLite writes one transaction at a time; PostgreSQL gives up on a connection that it cannot have.
_PATIENCE = 30


def _options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        # Who reads and then writes asks for the lock at once, or another could write in between. Within the process
        # there is one connection, for which all wait in a row: SQLite's own waiting is not fair.
        pool = {"pool_size": 1, "max_overflow": 0, "pool_timeout": _PATIENCE}
        return {"sqlite_begin": "IMMEDIATE", "connect_args": {"timeout": _PATIENCE}, **pool}
    return {"pool_size": 10, "max_overflow": 10, "pool_timeout": _PATIENCE}


database: Database = Database(get_settings().database_url, **_options(get_settings().database_url))

# Committed when the endpoint has returned, before the response is sent.
Session = Annotated[AsyncSession, database.session]
