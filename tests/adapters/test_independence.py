"""The line between the two packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import velithon_adapters

PACKAGE = Path(velithon_adapters.__file__).parent


def test_no_module_imports_velithon() -> None:
    """Neither at import nor later, nor under TYPE_CHECKING."""
    modules = list(PACKAGE.rglob("*.py"))
    assert PACKAGE / "bridge.py" in modules
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, module
                names = [node.module or ""]
            assert not any(name == "velithon" or name.startswith("velithon.") for name in names), module


def test_importing_the_package_loads_neither_velithon_nor_starlette() -> None:
    """It is usable alone."""
    code = "import sys, velithon_adapters; print([m for m in ('velithon', 'starlette') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_public_names_exist() -> None:
    """Each name of `__all__` is there, and the list is sorted."""
    assert velithon_adapters.__all__ == sorted(velithon_adapters.__all__)
    for name in velithon_adapters.__all__:
        assert getattr(velithon_adapters, name).__module__.startswith("velithon_adapters."), name
