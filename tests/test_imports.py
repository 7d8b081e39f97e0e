"""What an import costs: whoever does not use a feature does not import it."""

import subprocess
import sys

import pytest

import velithon


def modules_after(source: str) -> set[str]:
    """Return the modules of a new process that ran `source`."""
    command = [sys.executable, "-c", f"{source}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("source", "absent"),
    [
        ("from velithon import Velithon", "velithon.params velithon.signature.read pydantic.fields anyio._core._tasks"),
        (
            "from velithon import Velithon\nVelithon().get('/{x}')(lambda x: x)",
            """
            velithon.di velithon.heartbeat velithon.contexts velithon.logging velithon.sse velithon.templating
            velithon.openapi.schema velithon.signature.compile velithon.cli velithon.testclient
            velithon.routing.frontend jinja2 httpx httpx2 typer granian uvicorn
            """,
        ),
    ],
)
def test_what_is_not_used_is_not_imported(source: str, absent: str) -> None:
    assert modules_after(source) & set(absent.split()) == set()


@pytest.mark.parametrize("name", velithon.__all__)
def test_every_name_of_the_package_can_be_imported(name: str) -> None:
    """In a process that imported nothing else: names that come later come all the same."""
    assert "velithon" in modules_after(f"from velithon import {name}")


@pytest.mark.parametrize("module", ["velithon", "velithon.signature", "velithon.routing", "velithon.websocket"])
def test_there_are_no_other_names(module: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nothing'"):
        getattr(sys.modules[module], "nothing")  # noqa: B009 - a constant attribute would not pass the type checker


@pytest.mark.parametrize("name", ["params", "param_functions", "di", "contexts", "heartbeat", "status", "routing"])
def test_modules_are_attributes_of_the_package(name: str) -> None:
    """As FastAPI's are, for whoever writes `import velithon`."""
    assert f"velithon.{name}" in modules_after(f"import velithon\nassert velithon.{name}.__name__ == 'velithon.{name}'")


def test_names_are_listed_before_they_are_imported() -> None:
    source = """
import velithon, velithon.routing, velithon.websocket, velithon.signature
for module in (velithon, velithon.routing, velithon.websocket, velithon.signature):
    assert set(module.__all__) <= set(dir(module))
"""
    assert "velithon.params" not in modules_after(source)


def test_signatures_are_read_while_the_containers_are_imported() -> None:
    """Half of a module in `sys.modules` is not the module."""
    source = """
import sys, types
from velithon import Velithon
sys.modules["velithon.di"] = types.ModuleType("velithon.di")  # as another thread leaves it meanwhile
Velithon().get("/{x}")(lambda x: x)
"""
    assert "velithon.signature.read" in modules_after(source)


def test_the_names_that_come_later_are_those_of_their_modules() -> None:
    source = """
from velithon import params, signature
from velithon.contexts import RouteContext
from velithon.heartbeat import Heartbeat
from velithon.routing import RouteContext as exported
from velithon.websocket import Heartbeat as beat
from velithon import routing, websocket
assert exported is RouteContext and beat is Heartbeat
assert routing.__all__ and all(hasattr(routing, name) for name in routing.__all__)
assert all(hasattr(websocket, name) for name in websocket.__all__)
assert all(hasattr(signature, name) for name in signature.__all__)
"""
    assert "velithon.heartbeat" in modules_after(source)
