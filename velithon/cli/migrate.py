"""`velithon migrate`: a project written for FastAPI becomes one written for Velithon."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from velithon.cli import app, fail

if TYPE_CHECKING:
    from velithon.migrate import Change

__all__ = ["migrate"]


@app.command(rich_help_panel="Write")
def migrate(
    path: Annotated[Path, typer.Argument(help="A project's directory, or a file.", exists=True)],
    write: Annotated[
        bool, typer.Option("--write", help="Write the files. Without it, what would change is shown.")
    ] = False,
) -> None:
    """Rewrite the imports and names of FastAPI, and say what is left to you.

    Nothing is imported or run. Run it in the project's environment, whose packages it looks at.
    """
    try:
        from velithon.migrate import migrate_project
        from velithon.migrate.packages import find_packages
    except ImportError as exc:
        raise fail('migrate needs libcst: pip install "velithon[migrate]"') from exc
    changes = list(migrate_project(path))
    rewritten = [change for change in changes if change.after != change.before]
    for change in rewritten:
        if write:
            with change.path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(change.after)
            typer.echo(f"rewritten: {change.path}")
        else:
            typer.echo(_build_diff(change), nl=False)
    noted = [f"{change.path}:{note.line}: {note.text}" for change in changes for note in change.notes]
    if noted:
        typer.echo("\nTo look at; docs/coming-from/fastapi.md says why:")
        typer.echo("\n".join(noted))
    used = list(find_packages())
    if used:
        typer.echo("\nPackages of this environment that are written for FastAPI, as they are on PyPI:")
        typer.echo("\n".join(f"{one.name} {one.version}: {one.fares}" for one in used))
    count = f"{len(rewritten)} file{'s' * (len(rewritten) != 1)}"
    done = f"{count} rewritten." if write else f"{count} would change; --write rewrites them."
    typer.echo(f"\n{done}")


def _build_diff(change: Change) -> str:
    name = str(change.path)
    lines = difflib.unified_diff(
        change.before.splitlines(keepends=True), change.after.splitlines(keepends=True), name, name
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
