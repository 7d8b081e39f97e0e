"""Packages of the environment that are written for FastAPI, and how they fare."""

from __future__ import annotations

import json
import re
from importlib.metadata import distributions
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Package", "find_packages"]

_FASTAPI = re.compile(r"fastapi(-slim)?\b(?!-)")


class Package(NamedTuple):
    """A package that is installed and written for FastAPI.

    Attributes:
        name: Of the distribution.
        version: That is installed.
        fares: How it was found to fare, in words.
    """

    name: str
    version: str
    fares: str


def find_packages() -> Iterator[Package]:
    """Yield the packages here that require FastAPI, or that are known to work or not."""
    known = json.loads(files("velithon.migrate").joinpath("packages.json").read_text())
    found = {}
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        required = [line for line in distribution.requires or () if "extra ==" not in line.replace("'", '"')]
        if name in known or (any(_FASTAPI.match(line.lower()) for line in required) and name != "velithon"):
            found[name] = Package(name, distribution.version, _describe_known(known.get(name)))
    yield from sorted(found.values())


def _describe_known(known: dict[str, str] | None) -> str:
    if known is None:
        return "it was not tried: run its part of the application under both servers"
    works = "works as it is" if known["works"] == "yes" else "was tried, and something failed"
    remark = f": {known['remark']}" if known["remark"] else ""
    return f"{known['version']} {works}{remark}"
