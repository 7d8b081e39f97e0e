"""Makes a release, up to the point where it would become public: `make release VERSION=0.7.0`.

It writes the version and the changelog's heading, builds the archive and the wheel, installs the wheel into an
environment of its own and uses it there, commits and tags. It uploads nothing; it prints the two commands that do.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = ROOT / "CHANGELOG.md"
VERSION_FILE = ROOT / "velithon" / "_runtime" / "version.py"
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
FORM = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
# what users would miss, were it left out of the wheel
CONTENTS = ("velithon/__init__.py", "velithon/py.typed", "velithon_adapters/__init__.py", "velithon_adapters/py.typed")
TRIAL = """
from importlib.metadata import version
from velithon import Velithon, __version__
from velithon.testclient import TestClient

app = Velithon()

@app.get("/{number}")
async def show(number: int) -> dict[str, int]:
    return {"number": number}

assert version("velithon") == __version__ == "VERSION", __version__
for protocol in ("asgi", "rsgi"):
    client = TestClient(app, protocol=protocol)
    assert client.get("/3").json() == {"number": 3}
    assert client.get("/docs").status_code == 200
"""


class ReleaseError(Exception):
    """Something is not ready for a release."""


def write_version(source: str, version: str) -> str:
    """Return the source of `velithon/_runtime/version.py` with that version.

    Raises:
        ReleaseError: It is no version, or not above the present one.
    """
    if not FORM.fullmatch(version):
        raise ReleaseError(f"{version!r} is no version: give three numbers, such as 0.7.0 or 0.7.0rc1.")
    present = VERSION.findall(source)[0]
    if order(version) < order(present):
        raise ReleaseError(f"{version} is not above {present}.")
    return VERSION.sub(f'__version__ = "{version}"', source)


def order(version: str) -> tuple[int, int, int, int, int]:
    """Return what versions are compared by: a pre-release comes before its release."""
    numbers, stage, candidate = re.split(r"(a|b|rc|$)", version, maxsplit=1)
    major, minor, patch = map(int, numbers.split("."))
    return major, minor, patch, "a b rc".split().index(stage) if stage else 3, int(candidate or 0)


def write_changelog(text: str, version: str, day: str) -> str:
    """Return the changelog with what is unreleased under the version's heading.

    Raises:
        ReleaseError: Nothing is unreleased, or the version has a heading already.
    """
    if f"\n## {version} " in text:
        raise ReleaseError(f"CHANGELOG.md has a heading for {version} already.")
    found = re.search(r"\n## Unreleased\n(.*?)(?=\n## |\Z)", text, re.DOTALL)
    if found is None or not found[1].strip():
        raise ReleaseError("CHANGELOG.md has nothing under Unreleased.")
    return text[: found.start()] + f"\n## Unreleased\n\n## {version} - {day}\n" + text[found.start(1) :]


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command and return its output.

    Raises:
        ReleaseError: It failed.
    """
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{' '.join(str(word) for word in command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(directory: Path) -> Path:
    """Build the archive and, from it, the wheel; return the wheel."""
    run(sys.executable, "-m", "build", "--outdir", directory)
    run(sys.executable, "-m", "twine", "check", "--strict", *directory.iterdir())
    (wheel,) = directory.glob("*.whl")
    return wheel


def check_wheel(wheel: Path, version: str) -> None:
    """Install a wheel into a new environment and use it on both protocols.

    Raises:
        ReleaseError: It lacks a file, holds one too many, or does not work.
    """
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = set(CONTENTS) - names
    if missing:
        raise ReleaseError(f"{wheel.name} lacks {', '.join(sorted(missing))}.")
    foreign = {name.split("/")[0] for name in names} - {
        "velithon",
        "velithon_adapters",
        f"velithon-{version}.dist-info",
    }
    if foreign:
        raise ReleaseError(f"{wheel.name} also holds {', '.join(sorted(foreign))}.")
    with tempfile.TemporaryDirectory(prefix="velithon-release-") as name:
        environment = Path(name)
        run(sys.executable, "-m", "venv", environment)
        python = environment / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", f"velithon[test] @ {wheel.resolve().as_uri()}")
        run(python, "-c", TRIAL.replace("VERSION", version), cwd=environment)
        shown = run(environment / "bin" / "velithon", "--version", cwd=environment)
        if not shown.startswith(f"velithon {version}"):
            raise ReleaseError(f"velithon --version says {shown.strip()!r}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a release; return the status of the command."""
    parser = argparse.ArgumentParser(description="Make a release, without uploading it.")
    parser.add_argument("version", help="such as 0.7.0")
    parser.add_argument("--dry-run", action="store_true", help="build and check, then leave everything as it was")
    options = parser.parse_args(arguments)
    kept = {file: file.read_text(encoding="utf-8") for file in (VERSION_FILE, CHANGELOG)}
    released = False
    try:
        if run("git", "status", "--porcelain") and not options.dry_run:
            raise ReleaseError("The working tree has changes: commit them first.")
        VERSION_FILE.write_text(write_version(kept[VERSION_FILE], options.version), encoding="utf-8")
        day = datetime.now(UTC).date().isoformat()
        CHANGELOG.write_text(write_changelog(kept[CHANGELOG], options.version, day), encoding="utf-8")
        with tempfile.TemporaryDirectory(prefix="velithon-dist-") as name:
            wheel = build(Path(name))
            check_wheel(wheel, options.version)
            print(f"{wheel.name} installs and answers on both protocols.")
            if not options.dry_run:
                (ROOT / "dist").mkdir(exist_ok=True)
                for file in Path(name).iterdir():
                    file.replace(ROOT / "dist" / file.name)
        if not options.dry_run:
            run("git", "commit", "--quiet", "-am", f"Release {options.version}")
            run("git", "tag", "--annotate", f"v{options.version}", "--message", f"Velithon {options.version}")
            released = True
            print(
                f"To publish it:\n  git push --follow-tags\n  python -m twine upload dist/velithon-{options.version}*"
            )
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    finally:
        if not released:
            for file, text in kept.items():
                file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
