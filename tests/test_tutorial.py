"""The tutorial, followed: each chapter leaves an application that answers, and the last is `examples/workshop`."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.servers import ServerName, serve

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial"
SERVICE = ROOT / "examples" / "workshop"
CHAPTERS = ("first-steps", "data", "database", "login", "tests", "live", "jobs", "deploy")
TITLED = re.compile(r'^```\w+ title="(.+?)"\n(.*?)^```', re.DOTALL | re.MULTILINE)
ANSWERS = """
from velithon.testclient import TestClient
from workshop.main import app

for protocol in ("asgi", "rsgi"):
    with TestClient(app, protocol=protocol) as client:
        assert client.get("/health").json() == {"status": "up"}
        assert client.get("/openapi.json").status_code == 200
"""


def files_after(chapter: str) -> dict[str, str]:
    """Return the files that a reader has after a chapter, by their names."""
    files = {"workshop/__init__.py": ""}
    for name in CHAPTERS[: CHAPTERS.index(chapter) + 1]:
        files |= dict(TITLED.findall((TUTORIAL / f"{name}.md").read_text(encoding="utf-8")))
    return files


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who follows the tutorial in a directory.

    Attributes:
        directory: Where the files go.
        env: The environment of what is run.
    """

    directory: Path
    env: dict[str, str]

    def write(self, files: dict[str, str]) -> None:
        """Write the files."""
        for name, content in files.items():
            path = self.directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")

    def run(self, *arguments: str) -> None:
        """Run Python there; fail with what it says."""
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=self.directory,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Somebody with an empty directory."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "WORKSHOP_SECRET_KEY": "only for tests, 32 bytes or more",
    }
    return Reader(tmp_path, env)


@pytest.mark.parametrize("chapter", CHAPTERS[:-1])
def test_each_chapter_ends_with_an_application_that_answers(reader: Reader, chapter: str) -> None:
    """On both protocols; the tests that a reader has when they are first written, and at the end, pass."""
    reader.write(files_after(chapter))
    if chapter not in ("tests", "jobs"):
        reader.run("-c", ANSWERS)
    else:  # without the plugins that only this repository installs
        reader.run("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:xdist")


def test_the_tutorial_ends_with_the_example() -> None:
    """So what the type checkers and the linter look at is what the pages show."""
    there = {
        path.relative_to(SERVICE).as_posix(): path.read_text(encoding="utf-8")
        for path in SERVICE.rglob("*")
        if path.suffix in (".py", ".toml") and path.name != "__init__.py"
    }
    shown = {name: content for name, content in files_after("deploy").items() if name in there}
    assert shown == there


@pytest.fixture(params=["granian-rsgi", "uvicorn"])
def service(request: pytest.FixtureRequest, reader: Reader) -> Generator[str, None, None]:
    """The address of the finished service, with a mechanic."""
    shutil.copytree(SERVICE / "workshop", reader.directory / "workshop")
    add = (
        "import asyncio; from workshop.accounts import add_mechanic; asyncio.run(add_mechanic('ada', 'correct horse'))"
    )
    reader.run("-c", add)
    server: ServerName = request.param
    env = {"WORKSHOP_SECRET_KEY": reader.env["WORKSHOP_SECRET_KEY"]}
    with serve("workshop.main:app", server, cwd=reader.directory, env=env) as running:
        yield running.url


@pytest.mark.server
def test_the_service_on_a_real_server(service: str) -> None:
    """A mechanic logs in, a bicycle is brought and repaired, and the board shows it."""
    with httpx.Client(base_url=service, trust_env=False, timeout=30) as client:
        login = {"username": "ada", "password": "correct horse"}
        token = client.post("/token", data=login).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        with connect(service.replace("http", "ws") + "/board", proxy=None) as board:
            board.send(token)
            assert board.recv(timeout=30) == '{"hello":"ada"}'
            new = {"bicycle": "blue", "fault": "no brakes", "customer_email": "c@example.com"}
            assert client.post("/repairs", json=new).status_code == 201
            assert '"state":"waiting"' in str(board.recv(timeout=30))
            assert client.put("/repairs/1/state?state=ready").json()["state"] == "ready"
            assert '"state":"ready"' in str(board.recv(timeout=30))
        assert [repair["id"] for repair in client.get("/repairs?state=ready").json()] == [1]
