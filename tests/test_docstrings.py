"""Docstrings begin with one line that says what; every option says what it does where it is declared."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.test_layers import modules
from velithon.routing import options

# How many first lines are longer than fifteen words. It may fall, never rise: say more in the second paragraph.
CEILING = 0
LONGEST = 24

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(node: Documented) -> Iterator[Documented]:
    """Yield a module or class and what is public in it."""
    yield node
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield from documented(child) if isinstance(child, ast.ClassDef) else [child]


def test_first_lines_are_short() -> None:
    """Fifteen words at most; what is longer is counted, and the count may not rise."""
    found = []
    for name, path in modules().items():
        for node in documented(ast.parse(path.read_text())):
            line = (ast.get_docstring(node) or "").partition("\n")[0]
            if len(line.split()) > 15:
                found.append((len(line.split()), name, getattr(node, "name", "the module"), line))
    longest = "\n".join(f"{name}, {what}: {line}" for _, name, what, line in sorted(found, reverse=True)[:20])
    assert len(found) <= CEILING, f"{len(found)} first lines are longer than fifteen words; the longest:\n{longest}"
    assert all(words <= LONGEST for words, *_ in found), longest


def test_every_option_is_documented_below_its_key() -> None:
    """An editor shows the text below a key when one points at the argument."""
    tree = ast.parse(modules()[options.__name__].read_text())
    bare = []
    for cls in tree.body:
        if isinstance(cls, ast.ClassDef) and cls.name.endswith("Options"):
            for field, below in zip(cls.body, [*cls.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign) and not (
                    isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                ):
                    bare.append(f"{cls.name}.{ast.unparse(field.target)}")
    assert bare == []


def test_every_ignored_type_error_has_its_reason() -> None:
    pattern = re.compile(r"# type: ignore(?!\[[a-z-]+(?:, ?[a-z-]+)*\] *# *\S)")
    wrong = [
        f"{name}: {line.strip()}"
        for name, path in modules().items()
        for line in path.read_text().splitlines()
        if pattern.search(line)
    ]
    assert wrong == []
