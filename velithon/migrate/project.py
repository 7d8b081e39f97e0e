"""A project: its Python files, and the files beside them that name FastAPI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from velithon.migrate.note import Note
from velithon.migrate.source import migrate_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Change", "migrate_project"]

_SKIPPED = {"node_modules", "site-packages", "__pycache__", "build", "dist"}
_BESIDE = re.compile(
    r"pyproject\.toml|setup\.(cfg|py)|.*requirements.*\.(txt|in)|Pipfile|(.*\.)?Dockerfile.*|Procfile|Makefile|.*\.(sh|ya?ml)"
)
_COMMAND = re.compile(r"\bfastapi[\"',\s]+(run|dev)\b")
_REQUIREMENT = re.compile(r"(^|[\"'\s])fastapi(-slim)?(\[[\w,\- ]*\])?\s*([<>=~!@;\"',]|=|$)")


class Change(NamedTuple):
    """What a migration does to a file.

    Attributes:
        path: Of the file.
        before: Its text.
        after: Its new text; the same where nothing is to be written.
        notes: What a person is to look at.
    """

    path: Path
    before: str
    after: str
    notes: list[Note]


def migrate_project(path: Path) -> Iterator[Change]:
    """Yield what a migration changes or notes in a file, or below a directory.

    Args:
        path: Of the file or the directory.
    """
    for file in [path] if path.is_file() else sorted(_iterate_files(path)):
        # As it stands: with the line ends that it has.
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as opened:
            before = opened.read()
        if file.suffix in (".py", ".pyi") and file.name != "setup.py":
            try:
                after, notes = migrate_source(before)
            except SyntaxError as exc:
                after, notes = before, [Note(1, f"it cannot be read, and is left as it is: {exc}")]
        else:
            after, notes = before, list(_iterate_notes(before))
        if after != before or notes:
            yield Change(file, before, after, notes)


def _iterate_files(path: Path) -> Iterator[Path]:
    for item in path.iterdir():
        if item.name.startswith(".") or item.is_symlink():
            continue
        if item.is_dir():
            if item.name not in _SKIPPED and not (item / "pyvenv.cfg").exists():
                yield from _iterate_files(item)
        elif item.suffix in (".py", ".pyi") or _BESIDE.fullmatch(item.name):
            yield item


def _iterate_notes(text: str) -> Iterator[Note]:
    for number, line in enumerate(text.splitlines(), 1):
        command = _COMMAND.search(line)
        if command is not None:
            yield Note(number, f"the command `fastapi {command[1]}` is `velithon {command[1]}`")
        elif _REQUIREMENT.search(line) and not line.lstrip().startswith("#"):
            yield Note(number, "fastapi is required: require velithon[standard] as well, or instead")
