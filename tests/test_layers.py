"""The imports between modules form layers: no circles, and no room that knows of one above it.

Every import counts, also those inside functions and under `TYPE_CHECKING`. `python -m tests.test_layers` prints them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"velithon": ROOT / "velithon", "velithon_adapters": ROOT / "adapters" / "velithon_adapters"}

# Room -> the rooms that it must not know.
FORBIDDEN = {
    "velithon_adapters": ("velithon",),
    "velithon._runtime": ("velithon.application", "velithon.routing", "velithon.faces", "velithon.signature"),
    "velithon.requests": ("velithon.application", "velithon.routing", "velithon.faces", "velithon.signature"),
    "velithon.responses": ("velithon.application", "velithon.routing", "velithon.faces", "velithon.signature"),
    "velithon.signature": ("velithon.application", "velithon.routing", "velithon.faces"),
    "velithon.di": ("velithon.application", "velithon.routing", "velithon.faces"),
    "velithon.websocket": ("velithon.application", "velithon.routing", "velithon.faces"),
    "velithon.faces": ("velithon.application", "velithon.openapi", "velithon.cli"),
    "velithon.routing": ("velithon.application", "velithon.openapi", "velithon.cli"),
    "velithon.middleware": ("velithon.application", "velithon.routing", "velithon.openapi", "velithon.cli"),
    "velithon.openapi": ("velithon.application", "velithon.cli"),
}

# What applications, the guide's and FastAPI's users import; these paths stay.
PUBLIC = """
    velithon velithon.application velithon.applications velithon.background velithon.concurrency velithon.contexts
    velithon.datastructures velithon.di velithon.encoders velithon.endpoint velithon.exception_handlers
    velithon.exceptions velithon.heartbeat velithon.logger velithon.logging velithon.middleware velithon.middleware.base
    velithon.middleware.cors velithon.middleware.gzip velithon.middleware.httpsredirect velithon.middleware.logging
    velithon.middleware.sessions velithon.middleware.trustedhost velithon.middleware.wsgi velithon.openapi
    velithon.openapi.docs velithon.openapi.models velithon.openapi.utils velithon.param_functions velithon.params
    velithon.requests velithon.responses velithon.routing velithon.security velithon.security.api_key
    velithon.security.http velithon.security.oauth2 velithon.security.open_id_connect_url velithon.sse
    velithon.staticfiles velithon.status velithon.templating velithon.testclient velithon.types velithon.utils
    velithon.websocket velithon.websockets velithon_adapters velithon_adapters.servers
""".split()


def _name(package: str, path: Path) -> str:
    parts = [package, *path.relative_to(PACKAGES[package]).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Return module name -> file, for both packages."""
    return {_name(package, path): path for package, root in PACKAGES.items() for path in sorted(root.rglob("*.py"))}


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else node.module


@cache
def imports() -> dict[str, frozenset[str]]:
    """Return module -> the modules of both packages that it imports, at any time and for any purpose."""
    return {
        name: frozenset(_imported(ast.parse(path.read_text()))) & modules().keys() - {name}
        for name, path in modules().items()
    }


def reachable(start: str) -> set[str]:
    """Return every module that `start` imports, directly or not."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in imports()[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def is_below(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def test_there_is_no_circle_of_more_than_two_files() -> None:
    """Each module can be read knowing only what stands below it."""
    circles = {
        frozenset({name, *(other for other in reachable(name) if name in reachable(other))}) for name in modules()
    }
    assert [sorted(circle) for circle in circles if len(circle) > 2] == []


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_do_not_know_those_above_them(room: str) -> None:
    wrong = [
        f"{name} imports {other}"
        for name in modules()
        if is_below(name, room)
        for other in imports()[name]
        if any(is_below(other, above) for above in FORBIDDEN[room])
    ]
    assert wrong == []


@pytest.mark.parametrize("name", PUBLIC)
def test_public_import_paths_stay(name: str) -> None:
    assert import_module(name).__name__ == name


def test_no_module_is_longer_than_500_lines() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > 500} == {}


def draw() -> Iterator[str]:
    """Yield the drawing: each room, with the rooms that it imports."""

    def room(name: str) -> str:
        return ".".join(name.split(".")[:2]) if name.startswith("velithon.") else name.partition(".")[0]

    rooms: dict[str, set[str]] = {}
    for name, others in imports().items():
        rooms.setdefault(room(name), set()).update(room(other) for other in others)
    for upper, below in sorted(rooms.items(), key=lambda item: (len(item[1]), item[0])):
        yield f"{upper:32} {' '.join(sorted(below - {upper}))}"


if __name__ == "__main__":
    print("\n".join(draw()))
