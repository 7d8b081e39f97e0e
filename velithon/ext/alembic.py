"""Alembic, set up for a `Database`; needs `pip install "velithon[alembic]"`."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib.util import resolve_name
from io import StringIO
from pathlib import Path
from types import ModuleType

try:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import MetaData
except ImportError as exc:
    raise ImportError('velithon.ext.alembic needs Alembic: pip install "velithon[alembic]"') from exc

from velithon.ext.sqlalchemy import Database

__all__ = ["init_migrations"]

_ENVIRONMENT = '''"""Alembic's environment: it migrates the database that the application uses."""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, event

{imports}

# The tables that are compared with the database: all that the modules above declare.
target_metadata = {metadata}

if database.url.get_backend_name() == "sqlite":
    # A table that is changed is dropped and made anew: rows that refer to it must stay.
    @event.listens_for(database.engine.sync_engine, "connect")
    def leave_foreign_keys(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=OFF")


def render_item(kind: str, item: Any, revision: AutogenContext) -> Literal[False]:
    """Import a column type that is not SQLAlchemy's into the revision."""
    module = type(item).__module__
    if kind == "type" and not module.startswith("sqlalchemy."):
        revision.imports.add(f"import {{module}}")
    return False  # Alembic writes it as it always does.


def migrate(connection: Connection) -> None:
    """Run the migrations over a connection."""
    # SQLite changes a table by making another.
    batch = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=target_metadata,
        render_as_batch=batch,
        render_item=render_item,
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
    context.configure(url=url, target_metadata=target_metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    migrate_offline()
else:
    asyncio.run(migrate_online())
'''


def init_migrations(directory: Path, database: str, metadata: str, models: Sequence[str] = ()) -> list[str]:
    """Set Alembic up in the current directory.

    Writes `alembic.ini` and a directory for migrations with its `env.py`.

    Args:
        directory: Where the migrations go; it must not exist, or be empty.
        database: The application's `Database`, as `module:name`.
        metadata: SQLAlchemy's metadata, as `module:name`, such as `shop.models:Base.metadata`.
        models: Modules that declare tables, where the metadata's own module does not import them.

    Returns:
        The names of the tables that Alembic will compare with the database, sorted.

    Raises:
        ValueError: A reference is not of the form `module:name`, there is no such thing, it is no `Database` or
            metadata, the metadata has no tables, or there is an Alembic already.
    """
    if directory.exists() and any(directory.iterdir()):
        raise ValueError(f"{directory} is not empty.")
    if Path("alembic.ini").exists():
        raise ValueError("alembic.ini is there already: move it away first.")
    _check_database(database)
    tables = _find_tables(metadata, models)
    text = _ENVIRONMENT.format(**_write_imports(database, metadata, models))
    config = Config("alembic.ini", stdout=StringIO(), cmd_opts=Namespace(quiet=True))
    command.init(config, str(directory), template="async")
    (directory / "env.py").write_text(text)
    return tables


def _write_imports(database: str, metadata: str, models: Sequence[str]) -> dict[str, str]:
    """Return the statements of `env.py` that import what was named, and the expression for the metadata."""
    module, root, rest = _find_definition(metadata)
    of_database, name, attributes = _find_definition(database)
    declaring = sorted({_split(metadata)[0], *models} - {module, of_database})
    lines = [f"import {module}  # noqa: F401 - declares tables" for module in declaring]
    lines += sorted({f"from {of_database} import {name} as database", f"from {module} import {root}"})
    if attributes:
        lines += ["", ".".join(["database = database", *attributes])]
    return {"imports": "\n".join(lines), "metadata": ".".join([root, *rest])}


def _split(reference: str) -> tuple[str, str]:
    module, _, name = reference.partition(":")
    parts = [*module.split("."), *name.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise ValueError(f"{reference!r} is not of the form module:name.")
    return module, name


def _check_database(reference: str) -> None:
    found = _load(reference)
    if not isinstance(found, Database):
        module = _import(_split(reference)[0])
        names = [f"{module.__name__}:{name}" for name, value in vars(module).items() if isinstance(value, Database)]
        there = f"the Database there is {' or '.join(names)}" if names else "there is no Database in its module"
        raise ValueError(
            f"--database {reference} is a {_describe_kind(found)}, not a velithon.ext.sqlalchemy.Database; {there}."
        )


def _find_tables(reference: str, models: Sequence[str]) -> list[str]:
    found = _load(reference)
    if not isinstance(found, MetaData):
        of_its_own = isinstance(getattr(found, "metadata", None), MetaData)
        cure = f"; write {reference}.metadata" if of_its_own else ", such as shop.models:Base.metadata"
        raise ValueError(f"--metadata {reference} is a {_describe_kind(found)}, not SQLAlchemy's MetaData{cure}.")
    for module in models:
        _import(module)
    if not found.tables:
        modules = " and ".join([_split(reference)[0], *models])
        raise ValueError(
            f"--metadata {reference} has no tables: {modules} imports no module that declares one."
            " Add --models with one that imports all of them, such as --models shop.main."
        )
    return sorted(found.tables)


def _load(reference: str) -> object:
    module_name, path = _split(reference)
    found: object = _import(module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ValueError(f"There is no {reference}: {_describe_kind(found)} has no attribute {name!r}.") from None
    return found


def _import(name: str) -> ModuleType:
    directory = str(Path.cwd())
    if directory not in sys.path:
        sys.path.insert(0, directory)  # as Alembic does
    try:
        return importlib.import_module(name)
    except Exception as exc:
        if isinstance(exc, ModuleNotFoundError) and exc.name and f"{name}.".startswith(f"{exc.name}."):
            raise ValueError(f"There is no module {exc.name!r} (looked in {directory} and in sys.path).") from exc
        raise ValueError(f"Importing {name!r} failed: {type(exc).__name__}: {exc}") from exc


def _describe_kind(found: object) -> str:
    return f"module {found.__name__!r}" if isinstance(found, ModuleType) else type(found).__name__


def _find_definition(reference: str) -> tuple[str, str, list[str]]:
    """Return the module that defines what a reference names, the name there, and the attributes that follow it."""
    module, path = _split(reference)
    name, *attributes = path.split(".")
    while attributes and isinstance(found := getattr(importlib.import_module(module), name), ModuleType):
        module, name, *attributes = found.__name__, *attributes
    return *_follow_imports(module, name), attributes


def _follow_imports(module: str, name: str) -> tuple[str, str]:
    """Return where a name of a module comes from: type checkers refuse one that a module merely imports."""
    found = importlib.import_module(module)
    try:
        statements = ast.parse(inspect.getsource(found)).body
    except (OSError, TypeError):  # no source
        return module, name
    for statement in statements:
        if isinstance(statement, ast.ImportFrom):
            origin = resolve_name("." * statement.level + (statement.module or ""), found.__package__ or "")
            names = {alias.asname or alias.name: alias.name for alias in statement.names}
            if name in names and origin != module:
                return _follow_imports(origin, names[name])
    return module, name
