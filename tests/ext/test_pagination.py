"""Pages by a cursor: each row once, in order, whatever is added meanwhile."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.conftest import ClientFactory
from tests.services.postgresql import PostgreSQL, postgresql
from velithon import Query, Velithon
from velithon.ext.pagination import Keyset, Page, PageQuery
from velithon.ext.sqlalchemy import Database

ROWS = 23


class Base(DeclarativeBase):
    """The tables."""


class Thing(Base):
    """A row; many have the same price and day."""

    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    price: Mapped[Decimal]
    made: Mapped[datetime]
    note: Mapped[str | None]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with rows, in memory's order."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'things.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("server").url("asyncpg")
    made = Database(url)

    async def fill() -> None:
        async with made.engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        async with made.begin() as session:
            session.add_all(thing(number) for number in range(ROWS))
        await made.aclose()

    asyncio.run(fill())
    yield made
    asyncio.run(made.aclose())


def thing(number: int) -> Thing:
    day = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(days=number % 3)
    return Thing(code=f"c{number * 7 % ROWS:02}", price=Decimal(number % 4) / 2, made=day)


ORDERS = {
    "id": Keyset(Thing.id),
    "-code": Keyset(Thing.code.desc()),
    "price": Keyset(Thing.price, Thing.id),
    "-price": Keyset(Thing.price.desc(), Thing.id.desc()),
    "mixed": Keyset(Thing.price.desc(), Thing.made, Thing.id.desc()),
}


def application(database: Database) -> Velithon:
    app = Velithon()
    database.install(app)

    @app.get("/things")
    async def things(
        page: Annotated[PageQuery, Query()], order: str, session: Annotated[AsyncSession, database.session]
    ) -> Page[str]:
        return await ORDERS[order].page(session, select(Thing), page, lambda found: found.code)

    @app.post("/things")
    async def add(session: Annotated[AsyncSession, database.session]) -> None:
        session.add(Thing(code="a new one", price=Decimal(9), made=datetime(2030, 1, 1)))

    return app


def key(order: str) -> Any:
    return {
        "id": lambda thing: thing.id,
        "-code": lambda thing: [-ord(sign) for sign in thing.code],
        "price": lambda thing: (thing.price, thing.id),
        "-price": lambda thing: (-thing.price, -thing.id),
        "mixed": lambda thing: (-thing.price, thing.made, -thing.id),
    }[order]


@pytest.mark.parametrize("order", ORDERS)
def test_each_row_is_on_one_page(client: ClientFactory, database: Database, order: str) -> None:
    """In the order, with equal values before and after the end of a page, also where a row is added meanwhile."""
    expected = [thing(number) for number in range(ROWS)]
    for number, row in enumerate(expected, start=1):
        row.id = number
    found: list[str] = []
    with client(application(database)) as speaking:
        cursor: str | None = ""
        while cursor is not None:
            params: dict[str, str | int] = {"order": order, "limit": 4, **({"cursor": cursor} if cursor else {})}
            page = speaking.get("/things", params=params).json()
            if not found and order in ("-price", "mixed"):
                speaking.post("/things")  # before the first page
            found += page["items"]
            cursor = page["next"]
    assert found == [row.code for row in sorted(expected, key=key(order))]


@pytest.mark.parametrize(
    "cursor", ["x", "é", "bnVsbA", "WyJ0aGluZ3MuaWQiLCAieCJd", "WyJ0aGluZ3MuaWQiXQ", "eyJhIjogMX0", "a" * 2001]
)
def test_a_cursor_that_is_none_is_refused(client: ClientFactory, tmp_path: Path, cursor: str) -> None:
    """With 422, which names the parameter."""
    with client(application(Database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"))) as speaking:
        answer = speaking.get("/things", params={"order": "id", "cursor": cursor})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "cursor"])


def test_a_cursor_of_another_order_is_refused(client: ClientFactory, database: Database) -> None:
    """Its values would be compared with other columns."""
    with client(application(database)) as speaking:
        cursor = speaking.get("/things?order=price&limit=1").json()["next"]
        assert speaking.get("/things", params={"order": "-price", "cursor": cursor}).status_code == 422


@pytest.mark.parametrize(
    ("order", "part"),
    [
        ((), "must be unique"),
        ((Thing.price,), "must be unique"),
        ((Thing.note, Thing.id), "may be NULL"),
        ((func.lower(Thing.code), Thing.id), "by columns of tables"),
    ],
)
def test_an_order_that_loses_rows_is_refused(order: tuple[Any, ...], part: str) -> None:
    """When the application is made."""
    with pytest.raises(ValueError, match=part):
        Keyset(*order)


def test_the_document_shows_pages(client: ClientFactory, tmp_path: Path) -> None:
    """Cursor and limit with their bounds, and what a page is."""
    with client(application(Database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"))) as speaking:
        document = speaking.get("/openapi.json").json()
    parameters = {found["name"]: found["schema"] for found in document["paths"]["/things"]["get"]["parameters"]}
    assert parameters["limit"]["maximum"] == 100
    assert set(document["components"]["schemas"]["Page_str_"]["properties"]) == {"items", "next"}
