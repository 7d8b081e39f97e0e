"""`velithon new` writes services that pass their own tests."""

import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from tests.cli.processes import velithon_run
from tests.effort import FULL
from velithon.cli import app as commands
from velithon.cli.new import render, requirement

ALL = ("--database", "--login", "--jobs")
COMBINATIONS = [
    tuple(option for option, taken in zip(ALL, row, strict=True) if taken) for row in product((0, 1), repeat=3)
]
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:xdist")


def generate(directory: Path, name: str, *options: str, status: int = 0) -> str:
    """Write a service in `directory`, and return what the command said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        result = CliRunner().invoke(commands, ["new", name, *options])
    assert result.exit_code == status, result.output
    return result.output


def call(service: Path, *command: str) -> str:
    """Run a command in a service, and return what it wrote; it must succeed."""
    done = subprocess.run(
        command, cwd=service, capture_output=True, text=True, timeout=900 if FULL else 150, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("options", COMBINATIONS if FULL else [ALL], ids=lambda options: "".join(options) or "plain")
def test_a_service_passes_its_own_tests(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Plain and with everything; where everything is run, each combination, with mypy and on both servers, too."""
    generate(tmp_path, "my-shop", *options)
    service = tmp_path / "my-shop"
    assert "passed" in call(service, *PYTEST)
    assert call(service, sys.executable, "-m", "velithon", "check", "my_shop.main:app") is not None
    if FULL:
        # What they all import is checked once.
        call(service, sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path.parent / "mypy"))
        for server in ("granian", "uvicorn"):
            with velithon_run(service, "my_shop.main:app", "--server", server, workers=1) as run:
                for path in ("/readyz", "/openapi.json", "/docs"):
                    answer = httpx.get(f"http://127.0.0.1:{run.port}{path}", trust_env=False, timeout=20)
                    assert answer.status_code == 200, run.text
            assert "Traceback" not in run.text


@pytest.mark.parametrize("options", COMBINATIONS, ids=lambda options: "".join(options) or "plain")
@pytest.mark.parametrize("name", ["s", "a-service-of-long-name"] if FULL else ["my-shop"])
def test_a_service_is_formatted(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    """Ruff has nothing to say, whatever was chosen and however long the name is."""
    generate(tmp_path, name, *options)
    call(tmp_path / name, sys.executable, "-m", "ruff", "check", "--no-cache", ".")
    call(tmp_path / name, sys.executable, "-m", "ruff", "format", "--no-cache", "--check", ".")
    for file in (tmp_path / name).rglob("*"):
        assert file.is_dir() or ("{{" not in file.read_text() and "@if" not in file.read_text())


def test_only_what_was_chosen_is_there(tmp_path: Path) -> None:
    """No file, no package and no variable of another option."""
    generate(tmp_path, "plain")
    assert {file.name for file in (tmp_path / "plain" / "plain").iterdir()} == {
        "__init__.py",
        "greetings.py",
        "main.py",
        "settings.py",
    }
    assert not (tmp_path / "plain" / ".env").exists()
    assert "sqlite" not in (tmp_path / "plain" / "pyproject.toml").read_text()


def test_each_service_has_a_secret_of_its_own(tmp_path: Path) -> None:
    """Long enough to sign tokens, and not in version control."""
    generate(tmp_path, "one", "--login")
    generate(tmp_path, "two", "--login")
    one, two = ((tmp_path / name / ".env").read_text().split("SECRET_KEY=")[1].strip() for name in ("one", "two"))
    assert one != two
    assert min(len(one), len(two)) >= 32
    assert ".env" in (tmp_path / "one" / ".gitignore").read_text().split()


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """An empty one is taken."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert "not empty" in generate(tmp_path, "full", status=1)
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert "make test" in generate(tmp_path, "empty")


@pytest.mark.parametrize(
    "name", ["1shop", "my shop", "a/b", "../shop", "class", "json", "tests", "velithon", "_shop", "shöp"]
)
def test_a_name_that_is_no_package_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written."""
    assert repr(name) in generate(tmp_path, name, status=1)
    assert list(tmp_path.iterdir()) == []


def test_the_service_installs_this_velithon(tmp_path: Path) -> None:
    """By its address, in every file that installs; the bare name is another product."""
    generate(tmp_path, "shop", "--login", "--source", "git+https://git.example/velithon.git@main")
    line = "velithon[auth] @ git+https://git.example/velithon.git@main"
    project = tomllib.loads((tmp_path / "shop" / "pyproject.toml").read_text())
    assert line in project["project"]["dependencies"]
    assert line in (tmp_path / "shop" / "README.md").read_text()
    assert "install velithon" not in (tmp_path / "shop" / "Dockerfile").read_text()
    assert requirement("", None).startswith("velithon @ ")
    assert requirement("", str(tmp_path)) == f"velithon @ {tmp_path.as_uri()}"


def test_conditions_of_a_template_nest() -> None:
    """A line stays where all conditions around it hold."""
    text = "@if a\n1 {{x}}\n@if not b\n2\n@end\n@end\n@if b\n3\n@end\n4"
    assert render(text, {"a"}, {"x": "y"}) == "1 y\n2\n4\n"
    assert render(text, {"b"}, {"x": "y"}) == "3\n4\n"
