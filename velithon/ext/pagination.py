"""Pages of a query by a cursor, over SQLAlchemy; needs `pip install "velithon[sqlalchemy]"`.

`OFFSET` reads and drops every row before the page, and rows that are added meanwhile shift the pages. A `Keyset` asks
for the rows after the last one that was sent, by the values that it was sorted by; an index on those makes each page
cost the same.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from velithon.exceptions import RequestValidationError

try:
    from sqlalchemy import ColumnElement, Select, and_, or_, tuple_
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.sql.elements import UnaryExpression
    from sqlalchemy.sql.operators import desc_op
except ImportError as exc:
    raise ImportError('velithon.ext.pagination needs SQLAlchemy: pip install "velithon[sqlalchemy]"') from exc

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Keyset", "Page", "PageQuery"]

T = TypeVar("T")

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
        self.adapter: TypeAdapter[Any] = TypeAdapter(self.column.type.python_type)

    @property
    def name(self) -> str:
        return f"{self.column}{' desc' if self.is_descending else ''}"

    @property
    def is_unique(self) -> bool:
        return bool(self.column.unique or list(self.column.table.primary_key) == [self.column])

    def after(self, value: Any) -> ColumnElement[bool]:
        return self.expression < value if self.is_descending else self.expression > value  # type: ignore[no-any-return]  # SQLAlchemy's comparisons are expressions of any type


class Keyset:
    """An order of rows, and its pages.

    Args:
        order: Columns, with `.desc()` where the greatest comes first. The last one is unique, so that no two rows
            are equal: otherwise rows at the end of a page would be lost.

    Raises:
        ValueError: There is no column, one may be NULL, or the last is not unique.
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
        if query.cursor is not None:
            statement = statement.where(self._after(self._read(query.cursor)))
        values = [column.expression for column in self._columns]
        # One more than asked for tells whether there is a next page.
        wanted: Any = statement.add_columns(*values).order_by(*(column.order for column in self._columns))
        rows = (await session.execute(wanted.limit(query.limit + 1))).all()
        shown = rows[: query.limit]
        more = len(rows) > query.limit
        return Page(items=[convert(row[0]) for row in shown], next=self._write(shown[-1][1:]) if more else None)

    def _after(self, values: list[Any]) -> ColumnElement[bool]:
        if len({column.is_descending for column in self._columns}) == 1:
            # One comparison of rows, which an index answers as a whole.
            row = tuple_(*(column.expression for column in self._columns))
            other = tuple_(*values)
            return row < other if self._columns[0].is_descending else row > other
        choices: list[ColumnElement[bool]] = []
        equal: list[ColumnElement[bool]] = []
        for column, value in zip(self._columns, values, strict=True):
            choices.append(and_(*equal, column.after(value)))
            equal.append(column.expression == value)
        return or_(*choices)

    def _write(self, values: Sequence[Any]) -> str:
        dumped = [column.adapter.dump_python(value, mode="json") for column, value in self._pairs(values)]
        return urlsafe_b64encode(json.dumps([self._name, *dumped]).encode()).rstrip(b"=").decode()

    def _read(self, cursor: str) -> list[Any]:
        try:
            name, *values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            if name != self._name or len(values) != len(self._columns):
                raise ValueError
            return [column.adapter.validate_json(json.dumps(value)) for column, value in self._pairs(values)]
        except (ValueError, TypeError, ValidationError):
            error = {"type": "cursor", "loc": ("query", "cursor"), "msg": "The cursor is none of this list's."}
            raise RequestValidationError([{**error, "input": cursor}]) from None

    def _pairs(self, values: Sequence[Any]) -> list[tuple[_Column, Any]]:
        return list(zip(self._columns, values, strict=True))
