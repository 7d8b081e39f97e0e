"""Private names of other projects are used in one place each, and a test names those that a new version drops."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import velithon._compat
import velithon_adapters._compat
from tests.test_layers import modules

FENCES = [
    import_module(f"{package.__name__}.{info.name}")
    for package in (velithon._compat, velithon_adapters._compat)
    for info in pkgutil.iter_modules(package.__path__)
]
PRIVATE = sorted({name for fence in FENCES for name in getattr(fence, "PRIVATE", {})})


def attributes(cls: type) -> set[str]:
    """Return the names that a class has, or that its methods give to `self`."""
    names = set(dir(cls))
    for base in cls.__mro__[:-1]:
        try:
            source = inspect.getsource(base)
        except (OSError, TypeError):
            continue
        tree = ast.parse(inspect.cleandoc("\n" + source) if source[0].isspace() else source)
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return names


@pytest.mark.parametrize("name", PRIVATE)
def test_private_names_are_still_there(name: str) -> None:
    """A name that has gone, or was moved, is told here before anything fails in a stranger way."""
    module_name, _, path = name.partition(":")
    value: Any = import_module(module_name)
    for part in path.split("."):
        if inspect.isclass(value):
            assert part in attributes(value), f"{module_name} has no {path} any more"
            return
        assert hasattr(value, part), f"{module_name} has no {path} any more"
        value = getattr(value, part)


def is_foreign(module: str) -> bool:
    return module.partition(".")[0] not in ("velithon", "velithon_adapters", "__future__")


def private_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and is_foreign(node.module):
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            if any(part.startswith("_") and not part.startswith("__") for part in parts):
                yield f"{node.module}: {', '.join(alias.name for alias in node.names)}"


def test_private_names_are_imported_in_one_place() -> None:
    wrong = {name: list(private_imports(path)) for name, path in modules().items() if "._compat" not in name}
    assert {name: names for name, names in wrong.items() if names} == {}


@cache
def own_names() -> set[str]:
    """Return every name that our code defines: a function, a class, a variable, an attribute of `self`."""
    names: set[str] = set()
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id == "self":
                    names.add(node.attr)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
                names.add(node.target.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


# Names with an underscore that are public: `os._exit` and namedtuple's methods are documented.
DOCUMENTED = {"_exit", "_replace", "_fields", "_asdict", "_make"}


def private_attributes() -> Iterator[tuple[str, str]]:
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and node.attr.startswith("_")
                and not node.attr.startswith(("__", "_velithon"))
            ):
                yield name, node.attr


def test_private_attributes_of_others_are_listed() -> None:
    """Whoever reads an attribute that no code of ours sets lists it, with the reason."""
    listed = {name.rpartition(".")[2].rpartition(":")[2] for name in PRIVATE}
    wrong = {
        f"{name}: {attribute}"
        for name, attribute in private_attributes()
        if attribute not in own_names() | listed | DOCUMENTED
    }
    assert sorted(wrong) == []


def test_every_listed_name_is_used() -> None:
    """The lists hold no name that nobody uses any more."""
    text = "\n".join(path.read_text() for path in modules().values())
    unused = [name for name in PRIVATE if text.count(name.rpartition(":")[2].rpartition(".")[2]) < 2]
    assert unused == []
