"""Pages of a query by a cursor, over SQLAlchemy; needs `pip install "velithon[sqlalchemy]"`.

`OFFSET` reads and drops every row before the page, and rows that are added meanwhile shift the pages. A `Keyset` asks
for the rows after the last one that was sent, by the values that it was sorted by; an index on those makes each page
cost the same.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from velithon.exceptions import RequestValidationError

try:
    from sqlalchemy import (
        BigInteger,
        ColumnElement,
        DateTime,
        Float,
        Integer,
        Numeric,
        Select,
        SmallInteger,
        and_,
        literal,
        or_,
        tuple_,
        type_coerce,
    )
    from sqlalchemy import Enum as EnumType
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.sql.elements import UnaryExpression
    from sqlalchemy.sql.operators import desc_op
    from sqlalchemy.types import TypeDecorator, TypeEngine
except ImportError as exc:
    raise ImportError('velithon.ext.pagination needs SQLAlchemy: pip install "velithon[sqlalchemy]"') from exc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Dialect

__all__ = ["Keyset", "Page", "PageQuery"]

T = TypeVar("T")
# What a column holds: a value of any type that a cursor carries.
Value: TypeAlias = Any

MAX_CURSOR_LENGTH = 2_000


class PageQuery(BaseModel):
    """Which page a client asks for: `page: Annotated[PageQuery, Query()]`; subclass it to add filters."""

    cursor: Annotated[str, Field(max_length=MAX_CURSOR_LENGTH)] | None = Field(
        None, description="`next` of the page before; the first page without it."
    )
    limit: Annotated[int, Field(ge=1, le=100)] = Field(20, description="How many items at most.")


class Page(BaseModel, Generic[T]):
    """A page, and the cursor of the next one; `None` at the last."""

    items: list[T]
    next: str | None


class _Column:
    """One column of an order."""

    def __init__(self, given: Any) -> None:
        self.is_descending = isinstance(given, UnaryExpression) and given.modifier is desc_op
        self.order = given
        self.expression: Any = given.element if isinstance(given, UnaryExpression) else given
        try:
            self.column: Any = self.expression.__clause_element__()
        except AttributeError:
            self.column = self.expression
        nullable = getattr(self.column, "nullable", None)
        if nullable is None:
            raise ValueError(f"Keyset sorts by columns of tables, such as Product.price.desc(), not by {given}.")
        if nullable:
            raise ValueError(f"Keyset cannot sort by {self.column}, which may be NULL: no row comes after NULL.")
        _check_type(self.column)

    @property
    def name(self) -> str:
        return f"{self.column}{' desc' if self.is_descending else ''}"

    @property
    def is_unique(self) -> bool:
        return bool(self.column.unique or list(self.column.table.primary_key) == [self.column])


class _StoredColumn:
    """One column of an order as a database keeps it.

    A database sorts by what it keeps, so a cursor carries that: a type of the application's own (`TypeDecorator`) is
    left out in both directions.
    """

    def __init__(self, column: _Column, dialect: Dialect) -> None:
        self.name = column.name
        self.is_descending = column.is_descending
        self._is_postgresql = dialect.name == "postgresql"
        self._has_unsigned = dialect.name in ("mysql", "mariadb")
        kind: TypeEngine[Any] = column.column.type
        adapted = kind.dialect_impl(dialect)
        while isinstance(adapted, TypeDecorator):
            kind = adapted = adapted.impl_instance.dialect_impl(dialect)
        if isinstance(adapted, Numeric) and not dialect.supports_native_decimal:
            # SQLite keeps floats, of which the Decimal that SQLAlchemy makes has the first digits.
            kind = Float()
        self.kind = kind
        self.expression: Any = type_coerce(column.expression, kind)

    def bind(self, value: object) -> ColumnElement[Any]:
        """Return a value as a parameter of the statement."""
        return literal(value, self.kind)

    def dump(self, value: object) -> object:
        """Return a value as JSON has it.

        Raises:
            TypeError: The database gave none of the column's type, such as NULL by an outer join.
        """
        kind: Any = self.kind.python_type
        if not isinstance(value, (float, int) if kind is float else kind):
            raise TypeError(
                f"Keyset cannot make a cursor of {self.name}: it is {value!r} in a row, no {kind.__name__}."
            )
        return (
            value.name
            if isinstance(value, Enum) and kind is not str
            else _build_adapter(kind).dump_python(value, mode="json")
        )

    def load(self, dumped: object) -> Value:
        """Return the value that was dumped.

        Raises:
            ValueError: It is none of the column's.
        """
        kind: Any = self.kind.python_type
        if issubclass(kind, Enum):
            if dumped not in kind.__members__:
                raise ValueError
            return kind[dumped]
        value = _build_adapter(kind).validate_json(json.dumps(dumped))
        if not self._is_possible(value):
            raise ValueError
        return value

    def _is_possible(self, value: Value) -> bool:
        """Tell whether the database could have given a value: it would fail of another one."""
        if isinstance(self.kind, EnumType):
            return value in self.kind.enums
        if isinstance(value, int):
            # The least number has no positive one.
            return (value if value >= 0 else ~value).bit_length() < self._bits
        if not self._is_postgresql:
            return True
        if isinstance(self.kind, DateTime):
            return (value.tzinfo is not None) == self.kind.timezone
        return not isinstance(value, str) or "\0" not in value

    @property
    def _bits(self) -> int:
        if self._is_postgresql and isinstance(self.kind, Integer) and not isinstance(self.kind, BigInteger):
            return 16 if isinstance(self.kind, SmallInteger) else 32
        # MySQL has unsigned ones.
        return 65 if self._has_unsigned else 64


# What goes through JSON and comes back as it was.
_KINDS = (bool, int, float, str, bytes, Decimal, datetime, date, time, timedelta, UUID)


def _check_type(column: Any) -> None:
    kind = column.type
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    try:
        python_type = kind.python_type
    except NotImplementedError:
        python_type = None
    if python_type not in _KINDS and not (isinstance(kind, EnumType) and python_type):
        kinds = ", ".join(found.__name__ for found in _KINDS)
        raise ValueError(
            f"Keyset cannot sort by {column}, whose type is {column.type!r}: a cursor carries enums and {kinds}."
        )


@cache
def _build_adapter(kind: type) -> TypeAdapter[Value]:
    config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    # A column of decimals in SQLite has integers, too.
    return TypeAdapter(int | float if kind is float else kind, config=config)


class Keyset:
    """An order of rows, and its pages.

    Args:
        order: Columns, with `.desc()` where the greatest comes first. The last one is unique, so that no two rows
            are equal: otherwise rows at the end of a page would be lost.

    Raises:
        ValueError: There is no column, one may be NULL, or of a type that a cursor cannot carry, or the last is not
            unique.
    """

    def __init__(self, *order: Any) -> None:
        self._columns = [_Column(column) for column in order]
        if not self._columns or not self._columns[-1].is_unique:
            last = self._columns[-1].name if self._columns else "none"
            raise ValueError(f"Keyset's last column must be unique, such as the primary key; it is {last}.")
        # A cursor of another order would be read as values of the wrong columns.
        self._name = ",".join(column.name for column in self._columns)

    async def page(
        self, session: AsyncSession, statement: Select[Any], query: PageQuery, convert: Callable[[Any], T]
    ) -> Page[T]:
        """Run a statement for one page.

        Args:
            session: The database's session.
            statement: Selects one entity, without an order and a limit of its own.
            query: What the client asked for.
            convert: Makes an item of an entity, such as `Product.model_validate`.

        Returns:
            The items, in the order, and the cursor of the next page.

        Raises:
            RequestValidationError: The cursor is none of this order: the answer is 422.
        """
        dialect = session.get_bind(clause=statement).dialect
        columns = [_StoredColumn(column, dialect) for column in self._columns]
        if query.cursor is not None:
            statement = statement.where(_build_condition(columns, self._read(columns, query.cursor)))
        # One more than asked for tells whether there is a next page.
        wanted: Any = statement.add_columns(*(column.expression.label(None) for column in columns))
        wanted = wanted.order_by(*(column.order for column in self._columns)).limit(query.limit + 1)
        rows = (await session.execute(wanted)).all()
        shown = rows[: query.limit]
        more = len(rows) > query.limit
        return Page(
            items=[convert(row[0]) for row in shown], next=self._write(columns, shown[-1][1:]) if more else None
        )

    def _write(self, columns: list[_StoredColumn], values: Sequence[object]) -> str:
        dumped = [column.dump(value) for column, value in zip(columns, values, strict=True)]
        return urlsafe_b64encode(json.dumps([self._name, *dumped]).encode()).rstrip(b"=").decode()

    def _read(self, columns: list[_StoredColumn], cursor: str) -> list[Value]:
        try:
            name, *values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            if name != self._name or len(values) != len(columns):
                raise ValueError
            return [column.load(value) for column, value in zip(columns, values, strict=True)]
        except (ValueError, TypeError, ValidationError):
            error = {"type": "cursor", "loc": ("query", "cursor"), "msg": "The cursor is none of this list's."}
            raise RequestValidationError([{**error, "input": cursor}]) from None


def _build_condition(columns: list[_StoredColumn], values: list[Value]) -> ColumnElement[bool]:
    """Return the condition that a row comes after the one with these values."""
    bound = [column.bind(value) for column, value in zip(columns, values, strict=True)]
    if len({column.is_descending for column in columns}) == 1:
        # One comparison of rows, which an index answers as a whole.
        row = tuple_(*(column.expression for column in columns))
        return row < tuple_(*bound) if columns[0].is_descending else row > tuple_(*bound)
    choices: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for column, value in zip(columns, bound, strict=True):
        later = column.expression < value if column.is_descending else column.expression > value
        choices.append(and_(*equal, later))
        equal.append(column.expression == value)
    return or_(*choices)
