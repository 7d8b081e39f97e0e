"""One engine for the process, one session and one transaction for a request."""

from collections.abc import AsyncIterator
from functools import cache
from typing import Annotated

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from velithon import Depends

from workshop.settings import get_settings


class Base(DeclarativeBase):
    """The base of the tables."""


@cache
def get_engine() -> AsyncEngine:
    """Return the engine; it connects when somebody first asks it something."""
    return create_async_engine(get_settings().database_url)


async def open_session() -> AsyncIterator[AsyncSession]:
    """Yield a session whose changes are kept if the endpoint returns, and undone if it raises."""
    async with AsyncSession(get_engine(), expire_on_commit=False) as session, session.begin():
        yield session


# `function`: the transaction ends before the answer is sent, so a client that reads "created" finds what it created.
Session = Annotated[AsyncSession, Depends(open_session, scope="function")]


async def create_tables() -> None:
    """Create the tables that are missing."""
    async with get_engine().begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
