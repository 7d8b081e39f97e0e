"""Each example starts with one command."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.processes import listening
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PATHS = {"quickstart": "/", "rest_api": "/health", "chat": "/", "uploads": "/"}
SAYS = {"quickstart": "world", "rest_api": "up", "chat": "<title>Chat</title>", "uploads": "<title>Uploads</title>"}


# What `make test` was given is not for the `make run` in here.
OF_MAKE = {
    "MAKEFLAGS",
    "MAKELEVEL",
    "MAKEOVERRIDES",
    "MFLAGS",
    "APP",
    "ARGS",
    "HOST",
    "PORT",
    "PYTHON",
    "SERVER",
    "VENV",
}


@contextmanager
def started(command: list[str], directory: Path, output: Path) -> Generator[str, None, None]:
    """Run a command that serves on a free port, in a group of its own.

    Yields:
        The address that it says it serves on, once it takes requests.
    """
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            cwd=directory,
            env={
                **{name: value for name, value in os.environ.items() if name not in OF_MAKE},
                "PYTHONUNBUFFERED": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            start_new_session=True,
        )
    try:
        ready = re.compile("Started worker-1 runtime-1|Application startup complete")
        until(lambda: process.poll() is not None or ready.search(output.read_text()), "the server is ready")
        assert process.poll() is None, "it ended"
        url = re.findall(r"https?://[^\s\"]+?:\d+", output.read_text())[0]
        until(lambda: listening(int(url.rpartition(":")[2])), "the port is open")
        yield url
    except BaseException as error:
        error.add_note(output.read_text())
        raise
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with what `make run` reads, and an environment that is set up: this one."""
    directory = tmp_path / "checkout"
    (directory / ".venv").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "examples"):
        (directory / name).symlink_to(ROOT / name)
    (directory / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (directory / ".venv" / ".installed").touch()
    return directory


@pytest.mark.server
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make: apt-get install make")
@pytest.mark.parametrize("name", PATHS)
def test_an_example_starts_by_make(name: str, checkout: Path, tmp_path: Path) -> None:
    """`make run` with the example's file."""
    command = ["make", "run", f"APP=examples/{name}.py:app", "PORT=0"]
    with started(command, checkout, tmp_path / "output.txt") as url:
        answer = httpx.get(url + PATHS[name], trust_env=False)
        assert answer.status_code == 200
        assert SAYS[name] in answer.text


@pytest.mark.server
@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_an_example_starts_by_its_module(server: str, checkout: Path, tmp_path: Path) -> None:
    """`velithon run` with the example's module."""
    velithon = Path(sys.executable).parent / "velithon"
    if not velithon.exists():
        pytest.skip("the command is not installed: pip install --editable .")
    options = ["--server", server, "--host", "127.0.0.1", "--port", "0"]
    command = [str(velithon), "run", "--app", "examples.chat:app", *options]
    with started(command, checkout, tmp_path / "output.txt") as url:
        assert SAYS["chat"] in httpx.get(url, trust_env=False).text
