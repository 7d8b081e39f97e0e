"""The shop's migrations, from nothing to the tables of today, and back."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, make_url
from sqlalchemy.engine import create_engine

from shop.database import database

CONFIG = Path(__file__).parents[3] / "examples" / "shop" / "alembic.ini"


def test_migrations_make_the_tables_that_the_models_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that was changed without a migration fails here; and the way back leaves nothing."""
    path = tmp_path / "shop.db"
    monkeypatch.setattr(database, "url", make_url(f"sqlite+aiosqlite:///{path}"))
    config = Config(str(CONFIG))
    command.upgrade(config, "head")
    command.check(config)
    command.downgrade(config, "base")
    engine = create_engine(f"sqlite:///{path}")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()
