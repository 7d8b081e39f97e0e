"""`make suites`: FastAPI's and Starlette's own released tests, run against Velithon on both protocols.

The tests come from the source distributions on PyPI, into `.cache/suites`, and run in an environment of their own. A
test that fails stands in `fastapi.txt` or `starlette.txt` with its reason; the run fails where another one does, or
where one of these passes.

The share is what passed of all tests but those that need trio (Velithon runs on asyncio) or a module that is private to
the project; these two are counted apart, in the last columns.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.suites import projects

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "suites"
ENVIRONMENT = Path(sys.prefix) / "suites"
PROTOCOLS = ("asgi", "rsgi")


@dataclass(frozen=True)
class Suite:
    """A project's released tests.

    Attributes:
        name: The project, as on PyPI.
        version: The release.
        plugin: The pytest plugin that has the project's names mean ours.
        paths: Folders beside this file from which the suite's processes import.
    """

    name: str
    version: str
    plugin: str
    paths: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the source distribution is unpacked."""
        return CACHE / f"{self.name}-{self.version}"

    def unpack(self) -> None:
        """Download and unpack the source distribution, once; take the package itself away."""
        if self.folder.exists():
            return
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "--dest", str(CACHE), f"{self.name}=={self.version}"], check=True)
        with tarfile.open(CACHE / f"{self.name}-{self.version}.tar.gz") as archive:
            archive.extractall(CACHE, filter="data")
        shutil.rmtree(self.folder / self.name)
        if self.name == "fastapi":
            # Some tests start processes, which a machine with other work takes longer for.
            starting = self.folder / "tests" / "test_telemetry" / "_subprocess.py"
            starting.write_text(starting.read_text().replace("timeout=15", "timeout=60"))
        if self.name == "starlette":
            for path in (self.folder / "tests").rglob("*.py"):
                path.write_text(re.sub(r"(?m)^(\s*)(from|import) starlette", r"\1\2 as_starlette", path.read_text()))

    def run(self, protocol: str, arguments: list[str]) -> tuple[int, dict[str, int]]:
        """Run the suite on a protocol; return pytest's exit status and how many tests ended how."""
        result = CACHE / f"{self.name}-{protocol}.json"
        result.unlink(missing_ok=True)
        variables = {
            "PYTHONPATH": os.pathsep.join([str(HERE), *(str(HERE / name) for name in self.paths)]),
            "SUITE_PROTOCOL": protocol,
            "SUITE_LIST": str(HERE / f"{self.name}.txt"),
            "SUITE_RESULT": str(result),
        }
        # Native tracebacks: Python 3.11 cannot parse the source of some frames again after deep recursion, and pytest,
        # which does, takes the whole run down with it.
        command = [
            str(ENVIRONMENT / "bin" / "python"), "-m", "pytest", "-p", self.plugin, "-p", "suite_plugin",
            "-q", "-n", "2", "-p", "no:logfire", "-p", "no:cacheprovider", "--tb=native", "-rfE",
            "--timeout=60", "-o", "timeout=60", "--continue-on-collection-errors", *(arguments or ["tests"]),
        ]  # fmt: skip
        status = subprocess.run(command, cwd=self.folder, env={**os.environ, **variables}, check=False).returncode
        return status, json.loads(result.read_text()) if result.exists() else {}


SUITES = (
    Suite("fastapi", "0.165.0", "fastapi_names", ("as_fastapi",)),
    Suite("starlette", "1.10.0", "starlette_names"),
)


def make_environment() -> None:
    """Install Velithon with its extras, and what the suites need, in an environment of their own."""
    stamp = ENVIRONMENT / ".installed"
    wanted = [ROOT / "pyproject.toml", HERE / "requirements.txt"]
    if stamp.exists() and all(stamp.stat().st_mtime > path.stat().st_mtime for path in wanted):
        return
    uv = str(Path(sys.prefix) / "tools" / "bin" / "uv")
    subprocess.run(
        [uv, "venv", "--quiet", "--clear", "--no-python-downloads", "--python", sys.executable, str(ENVIRONMENT)],
        check=True,
    )
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--editable", f"{ROOT}[all]", "--requirement", str(wanted[1])],
        check=True,
        env={**os.environ, "VIRTUAL_ENV": str(ENVIRONMENT)},
    )
    stamp.touch()


def row(suite: Suite, protocol: str, counts: dict[str, int]) -> str:
    """Return a line of the table: what passed, of the tests that need neither trio nor private names."""
    passed, failed = counts.get("passed", 0), counts.get("failed", 0)
    better, server, missing = (counts.get(kind, 0) for kind in ("better", "server", "missing"))
    counted = passed + failed + better + server + missing
    share = f"{100 * passed / counted:.1f} %" if counted else "-"
    cells = [suite.name, suite.version, protocol.upper(), passed, counted, share, better, server, missing]
    return f"| {' | '.join(map(str, [*cells, counts.get('private', 0), counts.get('trio', 0)]))} |"


def main() -> int:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.suites", description=__doc__)
    parser.add_argument("--suite", choices=[*(suite.name for suite in SUITES), "projects"], help="one suite alone")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="one protocol alone")
    parser.add_argument("arguments", nargs="*", help="what pytest gets instead of `tests`; names of projects")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    if options.suite == "projects":
        return projects.main(options.arguments, options.protocol)
    make_environment()
    worst, rows = 0, []
    for suite in SUITES:
        if options.suite not in (None, suite.name):
            continue
        suite.unpack()
        for protocol in PROTOCOLS:
            if options.protocol in (None, protocol):
                status, counts = suite.run(protocol, options.arguments)
                worst = max(worst, status)
                rows.append(row(suite, protocol, counts))
    heads = ["suite", "release", "protocol", "passed", "of", "share", "ours is better", "a server cannot", "missing"]
    print(f"| {' | '.join([*heads, 'private', 'trio'])} |\n{'|---' * (len(heads) + 2)}|")
    print("\n".join(rows))
    return worst if options.suite else max(worst, projects.main(protocol=options.protocol))


if __name__ == "__main__":
    sys.exit(main())
