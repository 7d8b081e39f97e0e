"""`velithon dev`: serve an application while it is written."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from velithon.cli import app, fail
from velithon.cli.help import is_coloured

__all__ = ["dev"]

_CANDIDATES = ("main.py", "app.py", "app/main.py", "src/main.py")


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, rich_help_panel="Write")
def dev(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE:ATTRIBUTE",
            help="The application. Default: app in main.py, app.py, app/main.py or src/main.py.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve an application while it is written.

    As `velithon run --reload --debug --access-log`, with debug pages, and --log-format pretty on a terminal. The
    options of `velithon run`, such as --host, --port and --server, are taken, too.
    """
    from typer.main import get_command

    group: Any = get_command(app)
    # An option of `run` that comes first stands where the application would.
    arguments = [*([target] if target is not None else []), *context.args]
    given = group.commands["run"].make_context("run", list(arguments), resilient_parsing=True).params
    if not given["target"] and not given["app_option"]:
        found = next((name for name in _CANDIDATES if Path(name).is_file()), None)
        if found is None:
            # A package's own main.py may be one of several, and of another name than `app`.
            packages = sorted(path.parent.name for path in Path().glob("*/main.py") if path.parent.name.isidentifier())
            there = f"{packages[0]}/main.py is there: velithon dev {packages[0]}.main:app" if packages else ""
            raise fail(
                f"No application was given, and there is no {', '.join(_CANDIDATES)};"
                f" {there or 'name it, such as main:app'}."
            )
        arguments.append(found)
    os.environ.setdefault("VELITHON_ENV", "development")
    # Read by each process that loads the application.
    os.environ["VELITHON_DEBUG_PAGES"] = "1"
    options = ["--reload", "--debug", "--access-log"]
    # What is given comes after these, and wins; so does the environment.
    if "VELITHON_LOG_FORMAT" not in os.environ and is_coloured(sys.stdout):
        options += ["--log-format", "pretty"]
    group.main(["run", *options, *arguments], prog_name="velithon")
