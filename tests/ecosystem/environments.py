"""One environment for each package, made by uv and kept under `.cache/ecosystem`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.ecosystem.catalogue import Package

__all__ = ["Environment", "environment_of"]

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "ecosystem"
# What every file needs beside the package: FastAPI, which is the control, and what runs tests.
COMMON = ("fastapi", "pytest>=9", "pytest-timeout")


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment with a package in it.

    Attributes:
        folder: Where it is.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def version(self, name: str) -> str:
        """Return the version of an installed package."""
        script = f"import importlib.metadata as m; print(m.version({name!r}))"
        done = subprocess.run([self.python, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()


def environment_of(package: Package, *, fresh: bool = False) -> Environment:
    """Return the environment of a package; make it where it is missing, or where what it is made of has changed.

    Args:
        package: The package.
        fresh: Make it again, with the newest versions.

    Raises:
        RuntimeError: It cannot be made: the message is uv's.
    """
    requirements = [*package.requirements, *COMMON]
    made_of = "\n".join([*requirements, *_own_requirements(), sys.version])
    folder = CACHE / f"{package.name}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    if fresh or not (folder / "complete").exists():
        for old in CACHE.glob(f"{package.name}-{'[0-9a-f]' * 12}"):
            shutil.rmtree(old)
        _uv("venv", "--no-python-downloads", "--python", sys.executable, str(folder))
        upgrade = ["--refresh"] if fresh else []
        python = ["--python", str(folder / "bin" / "python")]
        _uv("pip", "install", *upgrade, *python, "--editable", f"{ROOT}[standard]", *requirements)
        (folder / "complete").touch()
    return Environment(folder)


def _own_requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["standard"]]


def _uv(*arguments: str) -> None:
    tool = Path(sys.prefix) / "tools" / "bin" / "uv"
    command = [str(tool) if tool.exists() else "uv", *arguments, "--quiet"]
    # Whoever runs this may stand in an environment that uv would take for the one that is meant.
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=600)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments)}\n{done.stderr}")
