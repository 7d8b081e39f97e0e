"""Pages by a cursor over columns of each type: those that `OFFSET` gives, on SQLite and PostgreSQL."""

import asyncio
import enum
import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    CHAR,
    JSON,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Dialect,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Time,
    Uuid,
    select,
)
from sqlalchemy.dialects.postgresql import UUID as POSTGRESQL_UUID
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from tests.services.postgresql import PostgreSQL, postgresql
from velithon.exceptions import RequestValidationError
from velithon.ext.pagination import Keyset, PageQuery
from velithon.ext.sqlalchemy import Database


class Base(DeclarativeBase):
    """The tables."""


class Colour(enum.StrEnum):
    """Names, values and their order of definition differ."""

    RED = "a red"
    BLUE = "z blue"
    GREEN = "m green"


class Priority(enum.Enum):
    """Values that no database knows."""

    LOW = 1
    HIGH = (2, "high")


class Cents(TypeDecorator[Decimal]):
    """An amount, kept as an integer that falls where it rises."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else -int(value * 100)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(-value) / 100


class Utc(TypeDecorator[datetime]):
    """A time with its zone, kept without one."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Painted(TypeDecorator[str]):
    """An enum in another type's clothes."""

    impl = Enum(Colour, name="painted")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Colour | None:
        return None if value is None else Colour[value]

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else value.name


class Guid(TypeDecorator[UUID]):
    """PostgreSQL's own type, and text elsewhere."""

    impl = CHAR(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(POSTGRESQL_UUID() if dialect.name == "postgresql" else CHAR(32))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else value.hex

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return value if value is None or dialect.name == "postgresql" else UUID(value)


NOON = datetime(2026, 7, 1, 12, 0, 0, 123_456)
UUIDS = [UUID(int=number * 7919**9) for number in (3, 1, 2)]
TYPES: dict[str, tuple[Any, list[Any]]] = {
    "string": (String(), ["b", "a", "é", ""]),
    "boolean": (Boolean(), [True, False]),
    "float": (Float(), [1 / 3, -0.1, 1e300, 2.0]),
    "integer": (Integer(), [7, -(2**31), 2**31 - 1]),
    "big_integer": (BigInteger(), [7, -(2**63), 2**63 - 1]),
    "numeric": (Numeric(20, 4), [Decimal("0.8"), Decimal("-12.3456"), Decimal(7)]),
    "any_numeric": (Numeric(), [Decimal(1) / 3, Decimal(2) / 3, Decimal(1)]),
    "inexact": (Numeric(asdecimal=False), [1 / 3, 1.0, 2.5]),
    "bytes": (LargeBinary(), [b"\xff\x00", b"", b"a", b"\x80"]),
    "uuid": (Uuid(), UUIDS),
    "uuid_text": (Uuid(as_uuid=False), [str(found) for found in UUIDS]),
    "date": (Date(), [date(2026, 1, 2), date(1, 1, 1), date(9999, 12, 31)]),
    "time": (Time(), [time(3, 4, 5, 6), time(0), time(23, 59)]),
    "datetime": (DateTime(), [NOON, NOON - timedelta(microseconds=1), NOON.replace(microsecond=0)]),
    "zoned": (
        DateTime(timezone=True),
        [
            NOON.replace(tzinfo=UTC),
            NOON.replace(tzinfo=timezone(timedelta(hours=5))),
            NOON.replace(year=2025, tzinfo=UTC),
        ],
    ),
    "interval": (Interval(), [timedelta(days=2, microseconds=1), timedelta(0), timedelta(-1)]),
    "enum": (Enum(Colour), list(Colour)),
    "by_value": (
        Enum(Colour, name="colour_value", values_callable=lambda kind: [*map(str, kind)]),
        list(Colour),
    ),
    "plain_enum": (Enum(Priority), list(Priority)),
    "texts": (Enum("small", "large", name="texts"), ["small", "large"]),
    "cents": (Cents(), [Decimal(1) / 2, Decimal(3), Decimal(-1)]),
    "utc": (Utc(), [NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=timezone(timedelta(hours=-5)))]),
    "painted": (Painted(), ["RED", "BLUE", "GREEN"]),
    "guid": (Guid(), UUIDS),
    "variant": (Cents().with_variant(Numeric(10, 2), "postgresql"), [Decimal(1) / 2, Decimal(3), Decimal(-1)]),
}


class Row(Base):
    """A column of each type."""

    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    locals().update({f"c_{name}": mapped_column(kind, nullable=False) for name, (kind, _) in TYPES.items()})


class Sheet(Base):
    """A column that has no order."""

    __tablename__ = "sheets"
    id: Mapped[int] = mapped_column(primary_key=True)
    cells: Mapped[Any] = mapped_column(JSON, nullable=False)


COUNT = 9


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    url = f"sqlite+aiosqlite:///{tmp_path / 'rows.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("server").url("asyncpg")
    return Database(url)


def run(database: Database, function: Callable[[AsyncSession], Awaitable[None]]) -> None:
    """Call a function with a session of a database that has rows."""

    async def with_rows() -> None:
        try:
            await fill(database)
            async with database.begin() as session:
                await function(session)
        finally:
            await database.aclose()

    asyncio.run(asyncio.wait_for(with_rows(), 30))


async def fill(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with database.begin() as session:
        for number in range(COUNT):
            session.add(Row(**{f"c_{name}": values[number % len(values)] for name, (_, values) in TYPES.items()}))


async def all_pages(keyset: Keyset, session: AsyncSession, limit: int) -> list[int]:
    found: list[int] = []
    query = PageQuery(limit=limit)  # type: ignore[call-arg]  # pydantic's default
    for _ in range(COUNT):
        page = await keyset.page(session, select(Row), query, lambda row: row.id)
        found += page.items
        if page.next is None:
            break
        query = PageQuery(limit=limit, cursor=page.next)
    return found


async def by_offset(order: Any, session: AsyncSession, limit: int) -> list[int]:
    found: list[int] = []
    for offset in range(0, COUNT, limit):
        found += await session.scalars(select(Row.id).order_by(*order).limit(limit).offset(offset))
    return found


def test_pages_are_those_of_offset(database: Database) -> None:
    """For each type, up, down and mixed: each row once, in the database's order."""

    async def compare(session: AsyncSession) -> None:
        for name in TYPES:
            column = getattr(Row, f"c_{name}")
            for order in ((column, Row.id), (column.desc(), Row.id.desc()), (column.desc(), Row.id)):
                expected = await by_offset(order, session, 2)
                assert await all_pages(Keyset(*order), session, 2) == expected, (name, order)
                assert sorted(expected) == list(range(1, COUNT + 1))

    run(database, compare)


def test_a_cursor_with_a_value_of_another_type_is_refused(database: Database) -> None:
    """A member that an enum has not, a number out of range: 422, and no failure of the database."""
    forged: list[tuple[str, Any]] = [
        *((name, "nothing") for name in ("enum", "plain_enum", "texts", "zoned", "uuid", "painted")),
        *((name, 10**400) for name in ("cents", "float", "inexact")),
    ]
    if database.url.get_backend_name() == "postgresql":
        forged += [("cents", 2**31), ("string", "a\0b"), ("datetime", "2026-01-01T00:00:00Z"), ("datetime", 5)]

    async def ask(session: AsyncSession) -> None:
        for name, value in forged:
            keyset = Keyset(getattr(Row, f"c_{name}"), Row.id)
            cursor = urlsafe_b64encode(json.dumps([f"rows.c_{name},rows.id", value, 1]).encode()).decode()
            with pytest.raises(RequestValidationError):
                await keyset.page(session, select(Row), PageQuery(limit=1, cursor=cursor), lambda row: row.id)

    run(database, ask)


def test_a_type_that_a_cursor_cannot_carry_is_refused() -> None:
    """When the order is made."""
    with pytest.raises(ValueError, match=r"Keyset cannot sort by sheets.cells, whose type is JSON"):
        Keyset(Sheet.cells, Sheet.id)
