"""What the extras hold: as much as FastAPI's of the same names, and nothing that tests alone need."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]

ELSEWHERE = {
    "fastapi-cli": "the commands are `velithon run` and `velithon dev`",
    "fastar": "packs an application for FastAPI's cloud",
}


def held(extra: str) -> Iterator[Requirement]:
    """Yield what an extra brings, with the extras that it names, beside what the package itself needs."""
    for line in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == "velithon":
            for inner in requirement.extras:
                yield from held(inner)
        else:
            yield requirement


def fastapis(extra: str) -> set[str]:
    """Return the names of what an extra of FastAPI's brings."""
    found = [Requirement(line) for line in requires("fastapi") or ()]
    return {one.name for one in found if one.marker is not None and one.marker.evaluate({"extra": extra})}


@pytest.mark.parametrize("extra", ["standard", "all"])
def test_an_extra_holds_what_fastapis_holds(extra: str) -> None:
    """So that `EmailStr`, settings and templates work after the same install command."""
    always = {Requirement(line).name for line in PROJECT["dependencies"]}
    names = {one.name for one in held(extra)} | always
    if extra == "all":
        assert fastapis(extra) - names - ELSEWHERE.keys() == set()
    assert fastapis("standard") - names - ELSEWHERE.keys() == set()


def test_all_holds_every_extra_but_what_tests_need() -> None:
    """Installed in production, it brings no pytest."""
    every = {one.name for extra in PROJECT["optional-dependencies"] if extra != "test" for one in held(extra)}
    names = {one.name for one in held("all")}
    assert names == every
    assert "pytest" not in names
