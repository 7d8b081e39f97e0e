"""Alembic, set up by a command, migrates the database that the application uses."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.postgresql import postgresql

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
    assert "alembic upgrade head" in run(directory, url, *INIT)
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


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--database", "shop", "not of the form module:name"), ("--metadata", "shop:1x", "not of the form module:name")],
)
def test_a_reference_that_is_none_is_refused(tmp_path: Path, option: str, value: str, message: str) -> None:
    assert message in run(tmp_path, "", *INIT, option, value, status=1)


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "env.py").write_text("mine")
    assert "migrations is not empty" in run(tmp_path, "", *INIT, status=1)
    assert (tmp_path / "migrations" / "env.py").read_text() == "mine"
