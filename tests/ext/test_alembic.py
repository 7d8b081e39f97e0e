"""Alembic, set up by a command, migrates the database that the application uses."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from tests.services.postgresql import postgresql
from velithon.ext.alembic import init_migrations

SHOP = """
import os
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from velithon.ext.sqlalchemy import Database

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

database = Database(os.environ["SHOP_DATABASE"])
"""
INIT = ("velithon", "init-migrations", "--database", "shop:database", "--metadata", "shop:Base.metadata")


def run(directory: Path, url: str, *command: str, status: int = 0) -> str:
    """Run a command's module in a directory; return what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=directory,
        env={**os.environ, "SHOP_DATABASE": url, "PYTHONPATH": os.pathsep.join([".", *sys.path])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def migrate(directory: Path, url: str) -> None:
    (directory / "shop.py").write_text(SHOP)
    assert "for 1 table: items. Next:" in run(directory, url, *INIT)
    run(directory, url, "alembic", "revision", "--autogenerate", "-m", "items")
    run(directory, url, "alembic", "upgrade", "head")
    assert "No new upgrade operations" in run(directory, url, "alembic", "check")
    assert "CREATE TABLE items" in run(directory, url, "alembic", "upgrade", "head", "--sql")


def test_sqlite_is_migrated(tmp_path: Path) -> None:
    migrate(tmp_path, f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}")
    connection = sqlite3.connect(tmp_path / "shop.db")
    assert [row[1] for row in connection.execute("PRAGMA table_info(items)")] == ["id", "name"]
    connection.close()


def test_postgresql_is_migrated(tmp_path: Path) -> None:
    with postgresql() as server:
        migrate(tmp_path, server.url("asyncpg"))


# A service of several modules: tables apart from their base, and a column type of its own.
ROOMS = {
    "__init__": "",
    "database": """
from sqlalchemy.orm import DeclarativeBase
from velithon.ext.sqlalchemy import Database

class Base(DeclarativeBase):
    pass

db = Database("sqlite+aiosqlite:///rooms.db")
engine = "none"
""",
    "models": """
from typing import Any

from sqlalchemy import Dialect, String
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from . import database as places
from .database import Base, db

class Upper(TypeDecorator[str]):
    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value and value.upper()

class Room(Base):
    __tablename__ = "rooms"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Upper(40))
""",
    "broken": "1 / 0",
}


FOREIGN_KEYS = """
from sqlalchemy import event

@event.listens_for(db.engine.sync_engine, "connect")
def check_foreign_keys(connection, record):
    connection.execute("PRAGMA foreign_keys=ON")
"""
TABLES = """
CREATE TABLE rooms (id INTEGER PRIMARY KEY, name VARCHAR);
CREATE TABLE bookings (room_id INTEGER REFERENCES rooms ON DELETE CASCADE);
INSERT INTO rooms VALUES (1, 'Blue');
INSERT INTO bookings VALUES (1);
"""
REVISION = """
import sqlalchemy
from alembic import op

revision, down_revision = "1", None

def upgrade():
    with op.batch_alter_table("rooms", recreate="always") as table:
        table.add_column(sqlalchemy.Column("size", sqlalchemy.Integer))
"""


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The service's directory, which is the working directory; its modules are forgotten afterwards."""
    (tmp_path / "rooms").mkdir()
    for name, text in ROOMS.items():
        (tmp_path / "rooms" / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "rooms"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("database", "metadata", "message"),
    [
        ("rooms", "rooms.models:Base.metadata", "'rooms' is not of the form module:name"),
        ("rooms.database:db", "rooms:1x", "'rooms:1x' is not of the form module:name"),
        (
            "rooms.database:database",
            "rooms.models:Base.metadata",
            "module 'rooms.database' has no attribute 'database'",
        ),
        (
            "rooms.database:engine",
            "rooms.models:Base.metadata",
            "is a str, not a velithon.ext.sqlalchemy.Database; the Database there is rooms.database:db.",
        ),
        ("rooms.database:db", "rooms.modls:Base.metadata", "There is no module 'rooms.modls'"),
        ("rooms.database:db", "rooms.broken:Base.metadata", "Importing 'rooms.broken' failed: ZeroDivisionError"),
        ("rooms.database:db", "rooms.models:Base", "not SQLAlchemy's MetaData; write rooms.models:Base.metadata."),
        ("rooms.database:db", "rooms.database:Base.metadata", "has no tables: rooms.database imports no module that"),
    ],
)
def test_what_cannot_be_migrated_is_refused(rooms: Path, database: str, metadata: str, message: str) -> None:
    """Before anything is written: a name that is not there, of something else, or metadata without tables."""
    with pytest.raises(ValueError, match=re.escape(message)):
        init_migrations(Path("migrations"), database, metadata)
    assert sorted(path.name for path in rooms.iterdir()) == ["rooms"]


@pytest.mark.parametrize(
    ("database", "metadata", "models"),
    [
        ("rooms.database:db", "rooms.database:Base.metadata", ["rooms.models"]),
        ("rooms.models:db", "rooms.models:Base.metadata", []),
        ("rooms.models:places.db", "rooms.models:places.Base.metadata", []),
    ],
)
def test_tables_of_other_modules_are_found(rooms: Path, database: str, metadata: str, models: list[str]) -> None:
    """By the module that declares them; the environment imports each name from where it is defined."""
    assert init_migrations(Path("migrations"), database, metadata, models) == ["rooms"]
    written = Path("migrations/env.py").read_text()
    assert "import rooms.models  # noqa: F401" in written
    assert "from rooms.database import Base\nfrom rooms.database import db as database\n" in written


def test_a_column_type_of_ones_own_is_migrated(rooms: Path) -> None:
    """The revision imports its module, as nobody else would."""
    init_migrations(Path("migrations"), "rooms.database:db", "rooms.models:Base.metadata")
    config = Config("alembic.ini")
    command.revision(config, "rooms", autogenerate=True)
    command.upgrade(config, "head")
    command.check(config)  # raises where tables and models differ


def test_rows_that_refer_to_a_changed_table_stay(rooms: Path) -> None:
    """SQLite drops a table to change it, which deletes what refers to it where foreign keys are looked at."""
    with (rooms / "rooms" / "database.py").open("a") as file:
        file.write(FOREIGN_KEYS)
    init_migrations(Path("migrations"), "rooms.database:db", "rooms.models:Base.metadata")
    Path("migrations/versions/1.py").write_text(REVISION)
    connection = sqlite3.connect("rooms.db")
    connection.executescript(TABLES)
    command.upgrade(Config("alembic.ini"), "head")
    assert connection.execute("SELECT name, size FROM rooms").fetchall() == [("Blue", None)]
    assert connection.execute("SELECT room_id FROM bookings").fetchall() == [(1,)]
    connection.close()


def test_an_alembic_that_is_there_is_kept(rooms: Path) -> None:
    Path("alembic.ini").write_text("mine")
    with pytest.raises(ValueError, match="alembic.ini is there already"):
        init_migrations(Path("migrations"), "rooms.database:db", "rooms.models:Base.metadata")


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "env.py").write_text("mine")
    assert "migrations is not empty" in run(tmp_path, "", *INIT, status=1)
    assert (tmp_path / "migrations" / "env.py").read_text() == "mine"
