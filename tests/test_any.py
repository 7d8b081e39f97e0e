"""`Any` turns type checking off, so how often it stands in annotations is counted, and may not become more."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.test_layers import modules

# Annotations of the package and the adapters in which `Any` stands. Say `object` for a value that nobody looks into, a
# `Protocol` or a `TypeVar` for one that is used, `JSONObject` for JSON, `Callable[..., object]` for what is called for
# its effect. `Any` is for what Starlette, pydantic or a user's function forces.
CEILING = 420


def read_annotations(path: Path) -> Iterator[ast.expr]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns


def says_any(annotation: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))


def test_any_does_not_spread() -> None:
    """The modules with the most are named, as the places to look at."""
    found = Counter({name: sum(map(says_any, read_annotations(path))) for name, path in modules().items()})
    assert found.total() <= CEILING, f"{found.total()} annotations say Any; most of them: {found.most_common(12)}"
    assert found.total() > CEILING - 100, f"only {found.total()} annotations say Any: lower the ceiling"
