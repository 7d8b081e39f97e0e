"""Alembic, set up for a `Database`; needs `pip install "velithon[alembic]"`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

try:
    from alembic import command
    from alembic.config import Config
except ImportError as exc:
    raise ImportError('velithon.ext.alembic needs Alembic: pip install "velithon[alembic]"') from exc

__all__ = ["init_migrations"]

_ENVIRONMENT = '''"""Alembic's environment: it migrates the database that the application uses."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from {database_module} import {database_name} as database
from {metadata_module} import {metadata_root}


def migrate(connection: Connection) -> None:
    """Run the migrations over a connection."""
    # SQLite changes a table by making another.
    batch = connection.dialect.name == "sqlite"
    context.configure(connection=connection, target_metadata={metadata}, render_as_batch=batch)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_online() -> None:
    """Connect as the application does, and migrate."""
    async with database.engine.connect() as connection:
        await connection.run_sync(migrate)
    await database.aclose()


def migrate_offline() -> None:
    """Write SQL instead of running it: `alembic upgrade head --sql`."""
    url = database.url.render_as_string(hide_password=False)
    context.configure(url=url, target_metadata={metadata}, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    migrate_offline()
else:
    asyncio.run(migrate_online())
'''


def init_migrations(directory: Path, database: str, metadata: str) -> Path:
    """Set Alembic up in the current directory: `alembic.ini`, and a directory for migrations.

    Args:
        directory: Where the migrations go; it must not exist, or be empty.
        database: The application's `Database`, as `module:name`.
        metadata: SQLAlchemy's metadata, as `module:name`, such as `shop.models:Base.metadata`.

    Returns:
        The environment that was written, `env.py`.

    Raises:
        ValueError: A reference is not of the form `module:name`, or the directory is not empty.
    """
    database_module, database_name = _split(database)
    metadata_module, metadata_path = _split(metadata)
    if directory.exists() and any(directory.iterdir()):
        raise ValueError(f"{directory} is not empty.")
    config = Config("alembic.ini", stdout=StringIO())
    command.init(config, str(directory), template="async")
    environment = directory / "env.py"
    environment.write_text(
        _ENVIRONMENT.format(
            database_module=database_module,
            database_name=database_name,
            metadata_module=metadata_module,
            metadata_root=metadata_path.partition(".")[0],
            metadata=metadata_path,
        )
    )
    return environment


def _split(reference: str) -> tuple[str, str]:
    module, _, name = reference.partition(":")
    parts = [*module.split("."), *name.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise ValueError(f"{reference!r} is not of the form module:name.")
    return module, name
