"""What the scenarios with a database share: the queries of TechEmpower's tests, the same for every framework."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

PLAINTEXT = "Hello, World!"
ROWS = 10_000
_POOL_SIZE = 16
_ONE = "SELECT id, randomnumber FROM world WHERE id = $1"
_UPDATE = "UPDATE world SET randomnumber = $2 WHERE id = $1"
_FORTUNES = "SELECT id, message FROM fortune"
_ADDED = (0, "Additional fortune added at request time.")
_TEMPLATE = (
    "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table><tr><th>id</th><th>message</th></tr>"
    "{% for fortune in fortunes %}<tr><td>{{ fortune[0] }}</td><td>{{ fortune[1] }}</td></tr>{% endfor %}"
    "</table></body></html>"
)


def dsn() -> str:
    """Return the database's URL, as asyncpg takes it."""
    return os.environ["BENCH_DATABASE"]


class Database:
    """A pool of connections and a factory of SQLAlchemy's sessions, made by the first request."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._opening: asyncio.Future[Any] | None = None
        self._session: Any = None
        self._world: Any = None
        self._template: Any = None

    async def pool(self) -> Any:
        """Return the pool of asyncpg's connections, which the first requests of a worker open together."""
        if self._pool is None:
            if self._opening is None:
                self._opening = asyncio.ensure_future(_open())
            self._pool = await asyncio.shield(self._opening)
        return self._pool

    async def one(self) -> dict[str, int]:
        """Return a random row."""
        pool = await self.pool()
        async with pool.acquire() as connection:
            row = await connection.fetchrow(_ONE, random.randint(1, ROWS))
        return {"id": row[0], "randomNumber": row[1]}

    async def many(self, count: int) -> list[dict[str, int]]:
        """Return random rows, each by a query of its own."""
        pool = await self.pool()
        async with pool.acquire() as connection:
            statement = await connection.prepare(_ONE)
            rows = [await statement.fetchrow(random.randint(1, ROWS)) for _ in range(count)]
        return [{"id": row[0], "randomNumber": row[1]} for row in rows]

    async def updates(self, count: int) -> list[dict[str, int]]:
        """Read random rows, give each another number, and write them."""
        pool = await self.pool()
        # In the order of their ids, so that two requests cannot wait for each other.
        ids = sorted(random.sample(range(1, ROWS + 1), count))
        async with pool.acquire() as connection:
            statement = await connection.prepare(_ONE)
            rows = [(await statement.fetchrow(number))[0] for number in ids]
            changed = [(row, random.randint(1, ROWS)) for row in rows]
            await connection.executemany(_UPDATE, changed)
        return [{"id": row, "randomNumber": number} for row, number in changed]

    async def fortunes(self) -> str:
        """Return a page with all fortunes and one more."""
        if self._template is None:
            import jinja2

            self._template = jinja2.Environment(autoescape=True).from_string(_TEMPLATE)
        pool = await self.pool()
        async with pool.acquire() as connection:
            rows = [tuple(row) for row in await connection.fetch(_FORTUNES)]
        fortunes = sorted([*rows, _ADDED], key=lambda fortune: fortune[1])
        page: str = self._template.render(fortunes=fortunes)
        return page

    async def orm(self) -> dict[str, int]:
        """Return a random row, as an object of SQLAlchemy's asynchronous session."""
        if self._session is None:
            self._map()
        async with self._session() as session:
            row = await session.get(self._world, random.randint(1, ROWS))
        return {"id": row.id, "randomNumber": row.randomnumber}

    def _map(self) -> None:
        from sqlalchemy import Integer
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
        from sqlalchemy.orm import DeclarativeBase, mapped_column

        class Base(DeclarativeBase):
            pass

        class World(Base):
            __tablename__ = "world"
            # Typed by their columns: the names above are unknown where SQLAlchemy would evaluate annotations.
            id = mapped_column(Integer, primary_key=True)
            randomnumber = mapped_column(Integer)

        url = dsn().replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(url, pool_size=_POOL_SIZE, max_overflow=0)
        self._world = World
        self._session = async_sessionmaker(engine, expire_on_commit=False)


async def _open() -> Any:
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

    return await asyncpg.create_pool(dsn(), min_size=_POOL_SIZE, max_size=_POOL_SIZE)


async def fill(url: str) -> None:
    """Make the tables and their rows."""
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "CREATE TABLE world (id integer PRIMARY KEY, randomnumber integer NOT NULL);"
            "CREATE TABLE fortune (id integer PRIMARY KEY, message text NOT NULL)"
        )
        rows = [(number, random.randint(1, ROWS)) for number in range(1, ROWS + 1)]
        await connection.copy_records_to_table("world", records=rows)
        fortunes = [(number, f"A fortune of some words, number {number}.") for number in range(1, 12)]
        fortunes.append((12, '<script>alert("This should not be displayed.");</script>'))
        await connection.copy_records_to_table("fortune", records=fortunes)
    finally:
        await connection.close()
