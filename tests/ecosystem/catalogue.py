"""What the files in `packages/` say of themselves, read without importing them."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Package", "find"]

FOLDER = Path(__file__).parent / "packages"
# https://peps.python.org/pep-0723/
_BLOCK = re.compile(r"^# /// script\n(?P<content>(?:#(?:| .*)\n)+?)# ///$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Package:
    """One file.

    Attributes:
        name: The package's name on PyPI.
        path: The file.
        purpose: What is tried, the first line of its docstring without the full stop.
        requirements: What is installed, the package first.
        protocols: Those that the package is for; the others are left out.
        remarks: What a reader of the table should know.
        fails: Way -> why it cannot work there; the run fails when it does.
        without: Tests that fail: `test`, `because`, and the `ways` where not in all; the run fails when one passes.
    """

    name: str
    path: Path
    purpose: str
    requirements: list[str]
    protocols: list[str] = field(default_factory=lambda: ["asgi", "rsgi"])
    remarks: str = ""
    fails: dict[str, str] = field(default_factory=dict)
    without: list[dict[str, Any]] = field(default_factory=list)

    def failing_tests(self, way: str) -> dict[str, str]:
        """Return test -> why it fails in a way that is not FastAPI itself."""
        chosen = [entry for entry in self.without if way in entry.get("ways", [way])]
        return {entry["test"]: entry["because"] for entry in chosen}

    def reasons(self) -> list[str]:
        """Return why something does not work, each reason once."""
        return list(dict.fromkeys([*self.fails.values(), *(entry["because"] for entry in self.without)]))


def find(*names: str) -> list[Package]:
    """Return the packages of these names, all without any.

    Raises:
        ValueError: There is none of that name.
    """
    found = {package.name: package for package in map(_read, sorted(FOLDER.glob("[!_]*.py")))}
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"There is no package {', '.join(missing)}; there are {', '.join(found)}.")
    return [found[name] for name in names] if names else list(found.values())


def _read(path: Path) -> Package:
    source = path.read_text()
    block = _BLOCK.search(source)
    purpose = ast.get_docstring(ast.parse(source))
    if block is None or purpose is None:
        raise ValueError(f"{path.name} lacks a docstring, or a block that names its requirements.")
    declared = tomllib.loads("".join(line[2:] + "\n" for line in block["content"].splitlines()))
    requirements = declared["dependencies"]
    return Package(
        name=re.split(r"[\[<>=!~; ]", requirements[0])[0],
        path=path,
        purpose=purpose.partition("\n")[0].removesuffix("."),
        requirements=requirements,
        **declared.get("tool", {}).get("ecosystem", {}),
    )
