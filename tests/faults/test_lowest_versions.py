"""The lowest versions that pyproject.toml admits are free of the advisories that are known."""

import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent.parent


def requirements() -> list[Requirement]:
    """Return what the package and its extras require, without its own extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return [found for line in lines if (found := Requirement(line)).name != "velithon"]


def known() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("advisories.toml").read_text())


def lowest(requirement: Requirement) -> Version:
    """Return the lowest version that a requirement admits."""
    return min(Version(part.version) for part in requirement.specifier if part.operator in (">=", "==", "~="))


def test_no_lowest_version_has_a_known_advisory() -> None:
    fixed = known()["fixed"]
    found = [
        f"{requirement}: {advisory} is fixed in {version}"
        for requirement in requirements()
        for advisory, version in fixed.get(canonicalize_name(requirement.name), {}).items()
        if lowest(requirement) < Version(version)
    ]
    assert found == []


def test_each_requirement_was_looked_up() -> None:
    table = known()
    names = {canonicalize_name(requirement.name) for requirement in requirements()}
    assert names - table["fixed"].keys() - set(table["without"]) == set()
