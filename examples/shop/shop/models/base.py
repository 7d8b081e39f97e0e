"""What all tables share."""

from datetime import UTC, datetime
from enum import Enum, StrEnum

from sqlalchemy import DateTime, MetaData
from sqlalchemy import Enum as EnumType
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Moment(TypeDecorator[datetime]):
    """A point in time, in UTC; SQLite keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What it is in Python."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Keep it in UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"A moment has a time zone; {value} has none.")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that it is in UTC."""
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


def _values(kind: type[Enum]) -> list[str]:
    return [str(member) for member in kind]


class Base(DeclarativeBase):
    """The base of the tables; migrations need constraints with names."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {
        datetime: Moment(),
        # As text: a new state is then no migration of a type.
        StrEnum: EnumType(StrEnum, native_enum=False, length=20, values_callable=_values),
    }


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
