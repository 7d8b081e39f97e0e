"""`velithon openapi`: write the OpenAPI document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from velithon.cli import app, fail

if TYPE_CHECKING:
    from velithon._runtime.json_values import JSONObject
    from velithon.application import Velithon

__all__ = ["openapi"]

Target = Annotated[
    str | None,
    typer.Argument(metavar="MODULE:ATTRIBUTE", help="The application, such as main:app.", show_default=False),
]
AppOption = Annotated[
    str | None, typer.Option("--app", help="The application; the same as the argument.", show_default=False)
]
FactoryOption = Annotated[bool, typer.Option("--factory", help="The attribute is a function that returns it.")]


@app.command(rich_help_panel="Document")
def openapi(
    target: Target = None,
    app_option: AppOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; by default the standard output.")
    ] = None,
    form: Annotated[
        Literal["json", "yaml"] | None,
        typer.Option("--format", help="Default: the output file's extension, or json.", show_default=False),
    ] = None,
    factory: FactoryOption = False,
) -> None:
    """Write the OpenAPI document of an application."""
    document = load(target, app_option, factory=factory).openapi()
    if form is None:
        form = "yaml" if output is not None and output.suffix in {".yaml", ".yml"} else "json"
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n" if form == "json" else _dump_yaml(document)
    write(text, output)


def load(target: str | None, option: str | None, *, factory: bool) -> Velithon:
    """Return the Velithon application that an argument or an option names.

    Where there is none, the command ends with the reason.

    Args:
        target: The argument.
        option: What `--app` says.
        factory: Whether it is a function that returns the application.
    """
    from velithon._runtime.loading import AppTarget, LoadError
    from velithon.application import Velithon

    name = target or option
    if not name:
        raise fail("No application was given; name it as module:attribute, such as main:app.")
    if option not in (None, name):
        raise fail(f"Two applications were given, {target!r} and --app {option!r}")
    try:
        found = AppTarget(name, factory=factory)()
    except LoadError as exc:
        raise fail(str(exc)) from exc
    if not isinstance(found, Velithon):
        raise fail(f"{name!r} is a {type(found).__name__}, not a Velithon application.")
    return found


def write(text: str, output: Path | None) -> None:
    """Write text to a file, or to the standard output."""
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise fail(f"--output: cannot write to {output}: {exc}") from exc


def _dump_yaml(document: JSONObject) -> str:
    try:
        import yaml
    except ImportError as exc:
        raise fail('--format yaml needs PyYAML: pip install "velithon[yaml]"') from exc
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return text
