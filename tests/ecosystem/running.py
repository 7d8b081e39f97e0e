"""One package's file in one way: a process of its own, because packages patch what they find."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.ecosystem.catalogue import Package
from tests.ecosystem.environments import ROOT, Environment
from tests.ecosystem.ways import Way

__all__ = ["Outcome", "run", "run_files"]

_DEADLINE = 600.0


class Outcome(NamedTuple):
    """What became of it."""

    passed: bool
    output: str


def run(package: Package, way: Way, environment: Environment) -> Outcome:
    """Run a package's tests in a way, in its environment."""
    return run_files([package], [way], environment.python)


def run_files(
    packages: Iterable[Package], ways: Iterable[Way], python: Path | str = sys.executable, *, servers: bool = True
) -> Outcome:
    """Run several files in one process.

    Args:
        packages: The packages, installed for that interpreter.
        ways: The ways, either all as FastAPI or none.
        python: The interpreter.
        servers: Whether tests that start real servers run too.
    """
    with tempfile.TemporaryDirectory(prefix="velithon-ecosystem-") as name:
        ways = list(ways)
        for way in ways:
            folder = Path(name) / way.name
            folder.mkdir()
            for package in packages:
                (folder / f"test_{package.path.stem}.py").write_text(way.source(package.path.read_text()))
        plugins = ["velithon.compat.pytest"] if any(way.as_fastapi for way in ways) else []
        command = [str(python), "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={name}", "--import-mode=importlib"]
        command += ["--timeout=150", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=short"]
        for plugin in (*plugins, "tests.ecosystem.plugin"):
            command += ["-p", plugin]
        if not servers:
            command.append("--without-servers")
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [*command, name], cwd=name, env=env, capture_output=True, text=True, timeout=_DEADLINE, check=False
            )
        except subprocess.TimeoutExpired as exc:
            return Outcome(False, f"It did not end within {_DEADLINE:.0f} s.\n{exc.stdout!r}")
    # A test that was skipped has shown nothing.
    complete = done.returncode == 0 and " skipped" not in done.stdout
    return Outcome(complete, done.stdout + done.stderr)


def missing_services(package: Package) -> str | None:
    """Return the service that a package's tests ask for and that is not installed."""
    wanted = {"redis_url": "redis-server"}
    source = package.path.read_text()
    return next((tool for name, tool in wanted.items() if name in source and shutil.which(tool) is None), None)
