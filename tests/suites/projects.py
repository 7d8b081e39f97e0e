"""Whole projects: the tests of their releases, with FastAPI and then with Velithon in its place, nothing modified.

A project comes as its source distribution from PyPI, into `.cache/suites`, and runs in an environment of its own. Every
test that passes with FastAPI has to pass with Velithon, or stands in the project's `lost` with its reason.

`python -m tests.suites.projects` runs all and writes the table of `docs/ecosystem.md`; with names it runs some.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "suites"
PAGE = ROOT / "docs" / "ecosystem.md"
WAYS = ("fastapi", "asgi", "rsgi")
FASTAPI = "fastapi==0.165.0"
# Seconds for one run of one project.
DEADLINE = 3600
_BEGIN, _END = "<!-- projects -->", "<!-- end of projects -->"
_HEAD = "| Project | Version | What it is | Passed with FastAPI | Velithon, ASGI | Velithon, RSGI |"


@dataclass(frozen=True)
class Project:
    """A project whose source distribution holds its tests.

    Attributes:
        name: Its name on PyPI.
        version: The release.
        what: What it is, in a few words.
        requirements: What its tests need beside it and pytest.
        tests: Where those are that concern a web framework.
        extras: Its extras, that its tests need.
        options: What pytest is told.
        files: Path -> content of what the tests read and the source distribution lacks.
        has_test_client: Whether its tests use FastAPI's test client, so that they can run over RSGI too.
        lost: Test -> why it passes with FastAPI alone.
    """

    name: str
    version: str
    what: str
    requirements: tuple[str, ...]
    tests: tuple[str, ...] = ("tests",)
    extras: str = ""
    options: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    has_test_client: bool = True
    lost: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the source distribution is unpacked."""
        return CACHE / f"{re.sub('[-_.]+', '_', self.name)}-{self.version}"

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways that its tests can run in."""
        return WAYS if self.has_test_client else WAYS[:2]

    def unpack(self) -> None:
        """Download and unpack the source distribution, once, and add what it lacks."""
        if not self.folder.exists():
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", self.name]
            subprocess.run([*pip, "--dest", str(CACHE), f"{self.name}=={self.version}"], check=True)
            with tarfile.open(self.folder.with_name(f"{self.folder.name}.tar.gz")) as archive:
                archive.extractall(CACHE, filter="data")
        for path, content in self.files.items():
            (self.folder / path).write_text(content)

    def python(self) -> Path:
        """Return the interpreter of the project's environment, which is made where it is missing or out of date."""
        installed = f"{self.name}[{self.extras}]" if self.extras else self.name
        wanted = [
            f"{installed}=={self.version}",
            FASTAPI,
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            *self.requirements,
        ]
        made_of = "\n".join([*wanted, (ROOT / "pyproject.toml").read_text(), sys.version])
        environment = CACHE / "environments" / self.name
        stamp = environment / ".made-of"
        python = environment / "bin" / "python"
        digest = hashlib.sha256(made_of.encode()).hexdigest()
        if not stamp.exists() or stamp.read_text() != digest:
            uv = str(Path(sys.prefix) / "tools" / "bin" / "uv")
            options = ["--quiet", "--no-python-downloads", "--python"]
            subprocess.run([uv, "venv", "--clear", *options, sys.executable, str(environment)], check=True)
            subprocess.run([uv, "pip", "install", *options, str(python), "--editable", str(ROOT), *wanted], check=True)
            stamp.write_text(digest)
        return python

    def run(self, way: str) -> dict[str, str]:
        """Run the tests in a way.

        Returns:
            A test's name -> `passed`, `failed` or `skipped`.

        Raises:
            RuntimeError: pytest did not come to its end; what it printed.
        """
        result = CACHE / f"{self.name}-{way}.json"
        result.unlink(missing_ok=True)
        python = self.python()
        search = os.pathsep.join([str(python.parent), os.environ.get("PATH", "")])
        variables = {"PYTHONPATH": str(HERE), "PROJECT_WAY": way, "PROJECT_RESULT": str(result), "PATH": search}
        plugins = ["project_plugin"] if way == "fastapi" else ["velithon.compat.pytest", "project_plugin"]
        command = [
            str(python),
            "-m",
            "pytest",
            *(f"-p{plugin}" for plugin in plugins),
            "-q",
            "-n2",
            "-pno:cacheprovider",
        ]
        command += ["--timeout=120", "--tb=short", "--continue-on-collection-errors", *self.options, *self.tests]
        log = CACHE / f"{self.name}-{way}.log"
        with log.open("w") as output:
            subprocess.run(
                command,
                cwd=self.folder,
                env={**os.environ, **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=DEADLINE,
                check=False,
            )
        if not result.exists() or (way == "fastapi" and "passed" not in result.read_text()):
            raise RuntimeError(f"{self.name} did not run, {way}:\n{log.read_text()[-3000:]}")
        return json.loads(result.read_text())  # type: ignore[no-any-return]  # the plugin's


OPTIMADE_SETTINGS = {
    "provider": {"prefix": "exmpl", "name": "Example", "description": "An example", "homepage": "https://example.org"},
    "implementation": {
        "name": "Example",
        "source_url": "https://example.org",
        "maintainer": {"email": "dev@example.org"},
    },
    "provider_fields": {"structures": ["band_gap"]},
    "length_aliases": {"structures": {"chemsys": "nelements"}},
    "aliases": {
        "structures": {
            "id": "task_id",
            "immutable_id": "_id",
            "chemical_formula_descriptive": "pretty_formula",
            "chemical_formula_reduced": "pretty_formula",
            "chemical_formula_anonymous": "formula_anonymous",
        }
    },
}
_SERVER = "src/tests/_internal/server"
PROJECTS = (
    Project(
        "authx",
        "1.7.1",
        "A library: logging in by JWT in headers, cookies and queries",
        ("pytest-asyncio", "pytest-cov", "pytest-pretty", "dirty-equals", "httpx", "httpx2", "requests", "SQLAlchemy")
        + ("websockets", "freezegun", "async-asgi-testclient"),
    ),
    Project(
        "dishka",
        "1.10.1",
        "A library: dependencies by type; its tests of FastAPI and Starlette",
        ("pytest-asyncio", "pytest-cov", "pytest-repeat", "httpx", "httpx2", "asgi-lifespan"),
        ("tests/integrations/fastapi", "tests/integrations/starlette"),
    ),
    Project(
        "dstack",
        "0.22.5",
        "An application: the server of an orchestrator, on SQLAlchemy; its routers of users and projects",
        ("pytest~=8.0", "pytest-asyncio", "pytest-mock", "pytest-httpbin", "pytest-socket", "pytest-env")
        + ("pytest-unordered", "requests-mock", "time-machine", "httpbin", "openai", "testcontainers>=4.15"),
        (f"{_SERVER}/routers/test_projects.py", f"{_SERVER}/routers/test_users.py", f"{_SERVER}/test_app.py"),
        extras="gateway,server,aws",
        has_test_client=False,
    ),
    Project(
        "fastapi-users",
        "15.0.5",
        "A library: users, logins and OAuth as routers and dependencies",
        ("pytest-asyncio", "pytest-mock", "httpx", "asgi_lifespan"),
        extras="sqlalchemy,oauth,redis",
        # Its tests have a secret of the process in their names, which workers would not agree on.
        options=("-n0",),
        has_test_client=False,
    ),
    Project(
        "optimade",
        "1.5.0",
        "An application: a server for databases of materials, with layers of its own",
        ("jsondiff", "pytest-asyncio", "pytest-cov", "build"),
        ("tests/server",),
        extras="server,client,http-client",
        options=("-o", "asyncio_default_fixture_loop_scope=function"),
        files={"tests/test_config.json": json.dumps(OPTIMADE_SETTINGS)},
    ),
    Project(
        "stac-fastapi.api",
        "5.0.2",
        "A framework: an API of satellite images, built route by route; half its fixtures are not in the distribution",
        ("stac-fastapi.extensions~=5.0.2", "pytest-asyncio", "httpx", "httpx2", "requests"),
        # It has no settings of its own, and ours would be found above it.
        options=("-c", os.devnull, "--rootdir=."),
    ),
    Project(
        "svcs",
        "26.2.0",
        "A library: a registry of services; its tests of frameworks and its examples",
        ("pytest-asyncio", "sybil>=6", "aiohttp", "flask", "httpx2"),
        ("tests/integrations", "docs/examples"),
    ),
)


def passed(outcomes: Mapping[str, str]) -> Counter[str]:
    """Return how many tests of each function passed; parameters may have names that are new in each process."""
    return Counter(name.partition("[")[0] for name, outcome in outcomes.items() if outcome == "passed")


def compare(project: Project, control: Counter[str], ours: Counter[str]) -> list[str]:
    """Return what is not as the project says: a test that is lost without a reason, or that is not lost."""
    lost = {name for name, count in control.items() if ours[name] < count}
    return [f"lost: {name}" for name in sorted(lost - set(project.lost))] + [
        f"passes: {name}" for name in sorted(set(project.lost) - lost)
    ]


def run_project(project: Project, ways: Iterable[str]) -> tuple[dict[str, int], list[str]]:
    """Run a project with FastAPI and in the ways asked for.

    Returns:
        A way -> how many tests passed; and what is not as the project says.
    """
    project.unpack()
    control = passed(project.run("fastapi"))
    counts, problems = {"fastapi": control.total()}, []
    for way in ways:
        if way in project.ways:
            ours = passed(project.run(way))
            # What passes with us alone is no gain to be counted.
            counts[way] = sum(min(ours[name], count) for name, count in control.items())
            problems += [f"{way}: {problem}" for problem in compare(project, control, ours)]
    return counts, problems


def write_table(rows: Mapping[str, str], page: Path = PAGE) -> None:
    """Put the rows between the marks, in the order of `PROJECTS`; those that did not run stay."""
    text = page.read_text()
    kept = {line.split(" | ")[0].strip("| "): line for line in _section(text).splitlines() if line.startswith("| ")}
    lines = [{**kept, **rows}[project.name] for project in PROJECTS if project.name in {**kept, **rows}]
    table = "\n".join([_BEGIN, _HEAD, "|---" * 6 + "|", *lines, _END])
    page.write_text(re.sub(f"{_BEGIN}.*{_END}", lambda _: table, text, flags=re.DOTALL))


def _section(text: str) -> str:
    return text.partition(_BEGIN)[2].partition(_END)[0]


def main(names: Iterable[str] = (), protocol: str | None = None) -> int:
    """Run projects, all by default; the status is 1 where one is not as it says."""
    names = set(names)
    if unknown := names - {project.name for project in PROJECTS}:
        raise SystemExit(f"No such project: {', '.join(sorted(unknown))}.")
    ways = WAYS[1:] if protocol is None else (protocol,)
    rows, failed = {}, False
    for project in PROJECTS:
        if names and project.name not in names:
            continue
        counts, problems = run_project(project, ways)
        failed = failed or bool(problems)
        cells = [project.name, project.version, project.what, *(str(counts.get(way, "–")) for way in WAYS)]
        rows[project.name] = f"| {' | '.join(cells)} |"
        print(rows[project.name], *problems, sep="\n", flush=True)
    if protocol is None:
        write_table(rows)
    return int(failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.suites.projects", description=__doc__)
    parser.add_argument("names", nargs="*", help="names on PyPI; all by default")
    parser.add_argument("--protocol", choices=WAYS[1:], help="one protocol alone; the table stays as it is")
    options = parser.parse_args()
    sys.exit(main(options.names, options.protocol))
