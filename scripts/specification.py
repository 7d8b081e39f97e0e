"""Writes docs/specification.md: what the specification promises, section by section, and the test that holds it.

`make specification` runs it. It needs the specification's documents, which are no part of this repository.
"""

from __future__ import annotations

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "specification.md"
HEAD = """# The specification, executed

Four documents define Velithon. They are no part of this repository; where they lie beside a checkout, `make spec` runs
each of their blocks of code, on both protocols, and against the services that they speak to. `make specification`
writes this page from those tests: a section has no row without a test, and no block of Python is left out.

Where a library of today wants a line otherwise (pydantic's settings in their own package, SQLAlchemy's drivers behind a
plus) or a service is not there (Google, GitHub), the test says which line it replaces, and why.
"""
TABLE = "| section | promise | test | real parts |\n|---|---|---|---|"
# What a block imports or the test is given -> the real part that it meets.
PARTS = {
    "aiofiles": "aiofiles",
    "authlib": "OpenID provider",
    "celery": "Celery worker",
    "database_url": "PostgreSQL",
    "databases": "databases",
    "httpx": "httpx",
    "jose": "python-jose",
    "passlib": "passlib, bcrypt",
    "PIL": "Pillow",
    "prometheus_client": "prometheus-client",
    "pydantic_settings": "pydantic-settings",
    "redis_url": "Redis",
    "sentry_sdk": "Sentry's SDK",
    "smtp_port": "SMTP server, STARTTLS",
    "sqlalchemy": "SQLAlchemy",
    "websockets": "websockets",
}


def main() -> None:
    """Write the page, or with `--check` tell whether it is as the tests are."""
    text = page()
    if "--check" in sys.argv[1:]:
        is_same = PAGE.read_text(encoding="utf-8") == text
        sys.exit(0 if is_same else f"{PAGE.name} is not up to date: make specification")
    PAGE.write_text(text, encoding="utf-8")


def page() -> str:
    """Return the page.

    Raises:
        SystemExit: The documents are not here.
    """
    sys.path.insert(0, str(ROOT))
    documents = import_module("tests.spec.documents")
    if documents.FOLDER is None:
        raise SystemExit(documents.ABSENT)
    rows: dict[tuple[str, str], list[str]] = {}
    for path in sorted((ROOT / "tests" / "spec").glob("test_*.py")):
        module = import_module(f"tests.spec.{path.stem}")
        functions = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        for name in functions:
            for mark in getattr(getattr(module, name), "pytestmark", []):
                if mark.name == "block":
                    _add(rows, path.name, name, getattr(module, name), mark.args)
    parts = [HEAD]
    for document in documents.DOCUMENTS:
        found = [
            f"| {_section(block)} | {line} |"
            for block in document.blocks
            for line in rows.get((document.name, block), [])
        ]
        parts.append("\n".join([f"## {document.name}\n", TABLE, *found]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _add(rows: dict[tuple[str, str], list[str]], file: str, name: str, test: object, args: tuple[object, ...]) -> None:
    document, blocks, _, given = args
    promise = (test.__doc__ or name.removeprefix("test_").replace("_", " ") + ".").strip().splitlines()[0]
    for block in blocks:  # type: ignore[attr-defined] # the blocks of a mark
        if block.name:
            used = {*given, *re.findall(r"^ *(?:from|import) (\w+)", block.code, re.MULTILINE)}  # type: ignore[misc] # names
            real = ", ".join(part for key, part in PARTS.items() if key in used)
            line = f"{promise.replace('|', '&#124;')} | `{file}::{name}` | {real}"
            rows.setdefault((document.name, block.name), []).append(line)  # type: ignore[attr-defined] # a Document


def _section(name: str) -> str:
    return name.replace("|", "&#124;")


if __name__ == "__main__":
    main()
