"""`velithon check`: find mistakes in an application without serving it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from velithon.cli import app, fail
from velithon.cli.openapi import AppOption, FactoryOption, Target, load

__all__ = ["check"]


@app.command(rich_help_panel="Write")
def check(
    target: Target = None,
    app_option: AppOption = None,
    factory: FactoryOption = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", help="A rule to leave out; may be given again.", metavar="RULE", show_default=False),
    ] = None,
) -> None:
    """Find mistakes in an application, without serving it.

    The application is imported. The status is 1 where something was found, for CI.
    """
    from velithon.checks import RULES
    from velithon.checks.blocking import find_blocking_calls
    from velithon.checks.layers import check_layers
    from velithon.checks.paths import check_paths
    from velithon.checks.signatures import check_signatures
    from velithon.checks.wrappers import check_wrappers

    unknown = sorted(set(ignore or ()) - set(RULES))
    if unknown:
        raise fail(f"--ignore: there is no rule {unknown[0]!r}; the rules are {', '.join(RULES)}")
    application = load(target, app_option, factory=factory)
    groups = (check_paths, check_signatures, check_wrappers, check_layers)
    found = [finding for group in groups for finding in group(application)]
    found += find_blocking_calls(Path.cwd().resolve())
    found = [finding for finding in dict.fromkeys(found) if finding.rule not in (ignore or ())]
    for place, rule, message in found:
        typer.echo(f"{place}: {rule}: {message}" if place else f"{rule}: {message}")
    if found:
        typer.echo(f"\n{len(found)} mistake{'s' * (len(found) > 1)} found.")
        raise typer.Exit(1)
    typer.echo("Nothing found.")
