"""Alembic's environment: it migrates the database that the application uses."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from shop.database import database as database
from shop.models import Base


def migrate(connection: Connection) -> None:
    """Run the migrations over a connection."""
    # SQLite changes a table by making another.
    batch = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection, target_metadata=Base.metadata, render_as_batch=batch, user_module_prefix="models."
    )
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
    context.configure(url=url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    migrate_offline()
else:
    asyncio.run(migrate_online())
