"""The table of `docs/ecosystem.md`, between its two marks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from tests.ecosystem.environments import ROOT

__all__ = ["Row", "read", "write"]

PAGE = ROOT / "docs" / "ecosystem.md"
FARES = ROOT / "velithon" / "migrate" / "packages.json"
_HEAD = "| Package | Version | Tried | ASGI | RSGI | `--as-fastapi`, ASGI | `--as-fastapi`, RSGI | Remarks |"
_BEGIN, _END = "<!-- table -->", "<!-- end of table -->"


class Row(NamedTuple):
    """What is known of one package."""

    name: str
    version: str
    tried: str
    asgi: str
    rsgi: str
    as_fastapi_asgi: str
    as_fastapi_rsgi: str
    remarks: str


def read(page: Path = PAGE) -> dict[str, Row]:
    """Return name -> row."""
    lines = re.findall(r"^\| (.+) \|$", page.read_text(), re.MULTILINE)
    cells = [line.split(" | ") for line in lines]
    rows = [Row(*cell) for cell in cells if len(cell) == len(Row._fields) and not cell[0].startswith("Package")]
    return {row.name: row for row in rows}


def write(rows: dict[str, Row], summary: str, page: Path = PAGE) -> None:
    """Put the rows in the place of those that are there, in the order of their names."""
    lines = [f"| {' | '.join(rows[name])} |" for name in sorted(rows)]
    rule = "|" + "---|" * len(Row._fields)
    table = "\n".join([_BEGIN, summary, "", _HEAD, rule, *lines, _END])
    text = page.read_text()
    page.write_text(re.sub(f"{_BEGIN}.*{_END}", lambda _: table, text, flags=re.DOTALL))
    if page == PAGE:
        FARES.write_text(json.dumps(fares(rows), indent=1) + "\n")


def fares(rows: dict[str, Row]) -> dict[str, dict[str, str]]:
    """Return what `velithon migrate` says of each package."""
    found = {}
    for name in sorted(rows):
        row = rows[name]
        works = {row.asgi, row.rsgi, row.as_fastapi_asgi, row.as_fastapi_rsgi} <= {"yes", "–"}
        found[name] = {"version": row.version, "works": "yes" if works else "no", "remark": row.remarks.strip()}
    return found
