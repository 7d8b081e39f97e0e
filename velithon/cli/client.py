"""`velithon client`: write a typed Python client of an application."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from velithon.cli import app, fail
from velithon.cli.openapi import AppOption, FactoryOption, Target, load

__all__ = ["client"]

GENERATOR = "openapi-python-client"


@app.command(rich_help_panel="Document")
def client(
    target: Target = None,
    app_option: AppOption = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The directory to write, which is the client's package.")
    ] = Path("client"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a client that is there.")] = False,
    meta: Annotated[
        Literal["none", "uv", "pdm", "poetry", "setup"],
        typer.Option(help="Write a project around the package, for this tool to build."),
    ] = "none",
    fail_on_warning: Annotated[
        bool, typer.Option("--fail-on-warning", help="End with status 1 where the client lacks something.")
    ] = False,
    factory: FactoryOption = False,
) -> None:
    """Write a typed Python client of an application.

    openapi-python-client makes it of the application's document.
    """
    generator = shutil.which(GENERATOR) or shutil.which(GENERATOR, path=str(Path(sys.executable).parent))
    if generator is None:
        raise fail(
            f"{GENERATOR} makes the client, and it is not there: pipx install {GENERATOR},"
            f" or uv tool install {GENERATOR} (an environment of its own, as it takes an older typer than Velithon)."
        )
    if output.exists() and not overwrite:
        raise fail(f"--output: {output} is there already; give another directory, or --overwrite.")
    document = load(target, app_option, factory=factory).openapi()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "openapi.json")
        path.write_text(json.dumps(document), encoding="utf-8")
        options = ["--path", str(path), "--output-path", str(output), "--meta", meta]
        flags = {"--overwrite": overwrite, "--fail-on-warning": fail_on_warning}
        command = [generator, "generate", *options, *(flag for flag, given in flags.items() if given)]
        done = subprocess.run(command, capture_output=True, text=True, env=_build_environment(generator), check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise fail(f"{GENERATOR} ended with status {done.returncode}:\n{said}")
    if "WARNING" in said:
        typer.echo(said, err=True)
    written = sorted(output.rglob("*.py"))
    operations = [file for file in written if file.parent.parent.name == "api" and file.name != "__init__.py"]
    models = [file for file in written if file.parent.name == "models" and file.name != "__init__.py"]
    typer.echo(
        f"Wrote {output}: {len(operations)} operations, {len(models)} models, {len(written)} files.\n"
        "The client needs httpx, attrs and python-dateutil."
    )


def _build_environment(generator: str) -> dict[str, str]:
    # It formats what it writes with ruff, which is installed beside it, wherever a link to it stands.
    beside = str(Path(generator).resolve().parent)
    return {**os.environ, "PATH": os.pathsep.join([beside, os.environ.get("PATH", "")])}
