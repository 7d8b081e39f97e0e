"""`velithon shell`."""

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.processes import ROOT

SHOP = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from velithon import Velithon

@asynccontextmanager
async def lifespan(app: Velithon) -> AsyncIterator[None]:
    print("started")
    yield
    print("stopped")

app = Velithon(title="Shop", lifespan=lifespan)

@app.get("/items")
async def items() -> list[str]:
    return ["tea"]
"""


def shell(directory: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with text as its standard input."""
    (directory / "shop.py").write_text(SHOP)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
    return subprocess.run(
        [sys.executable, "-m", "velithon", "shell", "shop:app"],
        input=text, cwd=directory, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_shell_has_a_started_application_and_a_client(tmp_path: Path) -> None:
    """Code sees both, between startup and shutdown."""
    result = shell(tmp_path, "print(app.title)\nprint(client.get('/items').json())\n")
    assert (result.returncode, result.stdout) == (0, "started\nShop\n['tea']\nstopped\n"), result.stderr


def test_an_exception_stops_the_application_and_is_the_status(tmp_path: Path) -> None:
    """A script that fails is a command that fails."""
    result = shell(tmp_path, "raise LookupError('no tea')")
    assert result.returncode == 1
    assert result.stdout == "started\nstopped\n"
    assert "LookupError: no tea" in result.stderr
