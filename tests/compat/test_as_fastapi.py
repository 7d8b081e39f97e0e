"""`import fastapi` means Velithon where that is asked for: in a process, on the command line, in a test run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.cli.processes import velithon_run

SHOP = """
from typing import Annotated
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.middleware import Middleware
from fastapi.routing import APIRoute

router = APIRouter(prefix="/items")
order = []

class Layer:
    def __init__(self, app, name):
        self.app, self.name = app, name

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            order.append(self.name)
        await self.app(scope, receive, send)

def current_user(user: str = ""):
    if not user:
        raise HTTPException(401)
    return user

@router.get("/{item}")
def read(item: int, user: Annotated[str, Depends(current_user)]):
    return {"item": item, "user": user}

app = FastAPI(middleware=[Middleware(Layer, name="outer"), Middleware(Layer, name="inner")])
app.include_router(router)
"""

TESTS = """
import fastapi, velithon
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from shop import app, order

def test_shop():
    assert FastAPI is velithon.Velithon and isinstance(app, FastAPI) and app.title == "FastAPI"
    assert isinstance(app.routes[-1], APIRoute)
    client = TestClient(app)
    assert client.get("/items/3").status_code == 401
    assert order == ["outer", "inner"]
    assert client.get("/items/3?user=me").json() == {"item": 3, "user": "me"}
"""

INSTALLED = """
import sys
from velithon.compat import install
{before}
install()
install()
"""


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a directory, with a time limit."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_test_suite_of_fastapis_runs_unchanged(tmp_path: Path) -> None:
    """With `-p velithon.compat.pytest`, and without a line changed."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "test_shop.py").write_text(TESTS)
    done = run("-m", "pytest", "-q", "-p", "velithon.compat.pytest", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout


def test_it_says_when_it_comes_too_late(tmp_path: Path) -> None:
    """Twice is fine; after FastAPI's own was imported is not."""
    assert run("-c", INSTALLED.format(before=""), cwd=tmp_path).returncode == 0
    assert "before anything imports it" in run("-c", INSTALLED.format(before="import fastapi"), cwd=tmp_path).stderr


@pytest.mark.parametrize("module", ["fastapi._compat", "fastapi.dependencies.nothing", "fastapi._form_limits"])
def test_what_is_internal_says_so(tmp_path: Path, module: str) -> None:
    """The error names the module."""
    done = run("-c", INSTALLED.format(before="") + f"import {module}", cwd=tmp_path)
    assert f"{module} is internal to FastAPI" in done.stderr


def test_its_modules_are_ours(tmp_path: Path) -> None:
    """The same objects, so that what is patched is patched; and ours keep their names."""
    script = INSTALLED.format(before="") + (
        "import fastapi.routing, fastapi.security.oauth2, velithon.routing, importlib\n"
        "assert fastapi.routing is velithon.routing and velithon.routing.__spec__.name == 'velithon.routing'\n"
        "from fastapi.dependencies.utils import get_dependant\n"
        "assert [f.name for f in get_dependant(path='/{a}', call=lambda a, b: a).query_params] == ['b']\n"
        # Instruments ask for the installed version; FastAPI's own comes first where there is one.
        "from importlib.metadata import version\n"
        "sys.path.clear()\n"
        "assert version('fastapi') == fastapi.__version__\n"
    )
    done = run("-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.server
@pytest.mark.parametrize("options", [("--server", "granian"), ("--server", "uvicorn", "--workers", "2")])
def test_velithon_run_as_fastapi(tmp_path: Path, options: tuple[str, ...]) -> None:
    """An application written for FastAPI is served by Velithon, its workers too."""
    (tmp_path / "shop.py").write_text(SHOP + "\nassert FastAPI.__module__ == 'velithon.application'\n")
    workers = 2 if "--workers" in options else 1
    with velithon_run(tmp_path, "shop:app", "--as-fastapi", *options, workers=workers) as run:
        address = f"http://127.0.0.1:{run.port}"
        assert httpx2.get(f"{address}/items/3").status_code == 401
        assert httpx2.get(f"{address}/items/3?user=me").json() == {"item": 3, "user": "me"}
