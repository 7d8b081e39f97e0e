"""What `docs/architecture.md` names is there: files, rooms, classes and functions."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_layers import FORBIDDEN

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:[\w/]+/)?\w+\.py)(?:: ([\w.]+))?`", PAGE)))


def find(name: str) -> list[Path]:
    """Return the files that a name on the page may mean."""
    roots = [ROOT, ROOT / "velithon", ROOT / "adapters" / "velithon_adapters"]
    found = [root / name for root in roots if (root / name).is_file()]
    return found or [path for path in (ROOT / "velithon").rglob(name) if path.is_file()]


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_files_and_names_are_there(file: str, name: str) -> None:
    found = find(file)
    assert found, f"there is no {file}"
    for part in filter(None, [name.partition(".")[0], name.rpartition(".")[2]]):
        defined = {
            node.name
            for path in found
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        assert part in defined, f"{file} defines no {part}"


@pytest.mark.parametrize("room", sorted(set(re.findall(r"`((?:\w+/)+)`", PAGE))))
def test_rooms_are_there(room: str) -> None:
    roots = [ROOT, ROOT / "velithon", ROOT / "velithon" / "signature", ROOT / "adapters" / "velithon_adapters"]
    assert any((root / room).is_dir() for root in roots)


@pytest.mark.parametrize("room", FORBIDDEN)
def test_the_page_tells_of_every_room_that_has_limits(room: str) -> None:
    assert room == "velithon_adapters" or f"`{room.removeprefix('velithon.')}/`" in PAGE
