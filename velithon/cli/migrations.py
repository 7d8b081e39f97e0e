"""`velithon init-migrations`: Alembic, set up for the application's database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from velithon.cli import app, fail

__all__ = ["init_migrations"]


@app.command("init-migrations", rich_help_panel="Write")
def init_migrations(
    database: Annotated[str, typer.Option(help="The application's Database: module:name.")],
    metadata: Annotated[str, typer.Option(help="SQLAlchemy's metadata: module:name, such as models:Base.metadata.")],
    models: Annotated[
        list[str] | None,
        typer.Option(help="A module that declares tables, where the metadata's does not import it; may be repeated."),
    ] = None,
    directory: Annotated[Path, typer.Option(help="Where the migrations go.")] = Path("migrations"),
) -> None:
    """Set up Alembic for a velithon.ext.sqlalchemy.Database."""
    try:
        from velithon.ext import alembic
    except ImportError as exc:
        raise fail(str(exc)) from exc
    try:
        tables = alembic.init_migrations(directory, database, metadata, models or [])
    except ValueError as exc:
        raise fail(str(exc)) from exc
    number = f"{len(tables)} table{'s' if len(tables) > 1 else ''}"
    typer.echo(f"Wrote alembic.ini and {directory / 'env.py'} for {number}: {', '.join(tables)}. Next:")
    typer.echo("  alembic revision --autogenerate -m 'First tables'")
    typer.echo("  alembic upgrade head")
