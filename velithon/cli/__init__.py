"""The `velithon` command.

Each command is a module of this package that registers itself with `app`; `main` is the entry point. What only one
command needs is imported inside it, so that `velithon --help` stays quick.
"""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from velithon.cli.help import PanelApp, PanelGroup

__all__ = ["app", "fail", "main"]

app = PanelApp(
    name="velithon",
    cls=PanelGroup,
    help="Run and inspect Velithon applications.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its tables cut the names of long options; ours do not
)


def fail(message: str) -> typer.Exit:
    """Write a message to standard error and return the exception to raise.

    The exception ends the command.
    """
    typer.echo(f"velithon: {message}", err=True)
    return typer.Exit(1)


def _show_version(value: bool) -> None:
    if value:
        from velithon.cli.version import describe_version

        typer.echo(describe_version())
        raise typer.Exit


@app.callback()
def _show_help(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run and inspect Velithon applications."""


def main() -> None:
    """Run the command line of this process."""
    app(prog_name="velithon")


_COMMANDS = "new run dev worker openapi client export_docs routes check shell explain migrate migrations"

for _command in _COMMANDS.split():
    importlib.import_module(f"velithon.cli.{_command}")
