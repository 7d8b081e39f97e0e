"""`velithon new`: a small service to begin with."""

from __future__ import annotations

import importlib.metadata
import json
import keyword
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from velithon.cli import app, fail

__all__ = ["new", "render", "requirement"]

TEMPLATES = Path(__file__).with_name("templates")
SUFFIX = ".txt"  # so that no tool takes a template for Python
# Files of one option; all others are written for every service.
FILES_OF_OPTIONS = {
    "accounts.py": "login",
    ".env": "login",
    "database.py": "database",
    "notes.py": "database",
    "reports.py": "jobs",
    "test_accounts.py": "login",
    "test_notes.py": "database",
    "test_reports.py": "jobs",
}


@app.command(rich_help_panel="Write")
def new(
    name: Annotated[str, typer.Argument(help="The service: its directory, and its package, where dashes are _.")],
    database: Annotated[
        bool, typer.Option("--database", help="SQLAlchemy with one model, in SQLite at first.")
    ] = False,
    login: Annotated[bool, typer.Option("--login", help="Passwords and JSON Web Tokens.")] = False,
    jobs: Annotated[bool, typer.Option("--jobs", help="A job, and an endpoint that asks for it.")] = False,
    source: Annotated[
        str | None,
        typer.Option(
            help="Where the service installs Velithon from, such as git+https://git.example/velithon.git@main."
            " Default: where this one came from.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a service with settings, routes, tests, Makefile and Dockerfile."""
    package = _make_package_name(name)
    directory = Path(name)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise fail(f"{name} is there already and not empty; give another name, or empty it.")
    chosen = {option for option, wanted in {"database": database, "login": login, "jobs": jobs}.items() if wanted}
    extras = ",".join(sorted(_list_extras(chosen)))
    values = {
        "name": name,
        "package": package,
        "prefix": package.upper(),
        "velithon": requirement(extras, source),
        "secret": secrets.token_urlsafe(32),
    }
    for template in sorted(TEMPLATES.rglob(f"*{SUFFIX}")):
        relative = template.relative_to(TEMPLATES).with_suffix("")
        if FILES_OF_OPTIONS.get(relative.name, relative.name) in {relative.name, *chosen}:
            file = directory / (Path(package, *relative.parts[1:]) if relative.parts[0] == "package" else relative)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(render(template.read_text(encoding="utf-8"), chosen, values), encoding="utf-8")
    typer.echo(f"Wrote {name}. Next:\n  cd {name}\n  make test\n  make dev")


def _make_package_name(name: str) -> str:
    package = name.replace("-", "_").lower()
    if not package.isascii() or not package.isidentifier() or keyword.iskeyword(package):
        raise fail(f"{name!r} names no Python package; take letters, digits and dashes, a letter first: my-shop.")
    if package.startswith("_") or package.endswith("_"):
        raise fail(f"{name!r} names no package that can be installed: it begins or ends with a dash or an underscore.")
    if package in {"tests", "velithon", "package"} or package in sys.stdlib_module_names:
        raise fail(f"{name!r} would hide the Python package {package}; give another name.")
    return package


def _list_extras(chosen: set[str]) -> Iterator[str]:
    names = {"database": "sqlalchemy", "login": "auth", "jobs": "jobs"}
    return (names[option] for option in chosen)


def requirement(extras: str, source: str | None) -> str:
    """Return the line that installs this Velithon and not the other product of the index.

    Args:
        extras: The extras, with commas between them.
        source: The address of a Git repository or a directory; by default what the installer recorded (PEP 610).

    Returns:
        A requirement, such as `velithon[auth] @ git+https://git.example/velithon.git@main`.
    """
    name = f"velithon[{extras}]" if extras else "velithon"
    if source is not None:
        return f"{name} @ {source if '://' in source else Path(source).resolve().as_uri()}"
    try:
        distribution = importlib.metadata.distribution("velithon")
    except importlib.metadata.PackageNotFoundError:
        return f"{name} @ {Path(__file__).resolve().parents[2].as_uri()}"
    recorded = distribution.read_text("direct_url.json")
    if recorded is None:
        return f"{name}>={distribution.version}"
    origin = json.loads(recorded)
    if "vcs_info" in origin:
        return f"{name} @ {origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    return f"{name} @ {origin['url']}"


def render(text: str, chosen: set[str], values: dict[str, str]) -> str:
    """Fill a template.

    `{{name}}` is replaced by a value; lines from `@if option` or `@if not option` to `@end` are kept or dropped.

    Args:
        text: The template.
        chosen: The options that hold.
        values: What stands for each name.

    Returns:
        The file's text.
    """
    lines: list[str] = []
    kept: list[bool] = []
    for line in text.splitlines():
        if line.startswith("@if "):
            *negated, option = line.split()[1:]
            kept.append((option in chosen) is not bool(negated))
        elif line == "@end":
            kept.pop()
        elif all(kept):
            lines.append(line)
    filled = "\n".join(lines) + "\n"
    for name, value in values.items():
        filled = filled.replace("{{" + name + "}}", value)
    return filled
