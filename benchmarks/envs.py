"""Virtual environments of the peers, made on demand below `benchmarks/.envs`, one for each framework."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

__all__ = ["REQUIREMENTS", "python_of", "versions"]

ENVS = Path(__file__).resolve().parent / ".envs"


def _same(*names: str) -> list[str]:
    """Require the versions that Velithon runs with, extras kept: what is compared is the framework."""
    return [f"{name}=={importlib.metadata.version(name.partition('[')[0])}" for name in names]


_GRANIAN = ("granian[uvloop]",)
_SERVERS = ("granian[uvloop]", "uvicorn[standard]")
_TOOLS = ("pydantic", "orjson")
# What the scenarios with a database take, whoever answers.
_SERVICES = ("asyncpg", "sqlalchemy[asyncio]", "jinja2")

REQUIREMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # name -> (in the versions that Velithon has, in the newest versions)
    "starlette": ((*_SERVERS, *_TOOLS, "starlette", "python-multipart"), ()),
    "fastapi": ((*_SERVERS, *_TOOLS, *_SERVICES, "starlette", "python-multipart", "fastapi"), ()),
    "fastapi-dev": ((*_SERVERS, *_TOOLS, "starlette", "python-multipart", "fastapi"), ("fastapi-cli",)),
    "litestar": ((*_GRANIAN, *_SERVICES), ("litestar[redis]",)),
    "blacksheep": ((*_GRANIAN, *_TOOLS, *_SERVICES), ("blacksheep",)),
    "bolt": (("uvloop", *_SERVICES), ("django-bolt",)),
    "emmett55": (("orjson", "pydantic", "uvloop"), ("emmett55[orjson]",)),
    "robyn": (_TOOLS, ("robyn",)),
    "sanic": (_TOOLS, ("sanic[ext]",)),
}
# Those that need a newer Python than ours.
_NEWER = {"bolt": (3, 12)}


def python_of(name: str) -> Path:
    """Return the interpreter of an environment, made first where it is missing or was made for other requirements.

    Args:
        name: Of the framework; `velithon` is this process's own environment.

    Raises:
        RuntimeError: pip failed; the message is the end of what it wrote.
    """
    if name == "velithon":
        return Path(sys.executable)
    same, newest = REQUIREMENTS[name]
    required = [*_same(*same), *newest]
    directory = ENVS / name
    python = directory / "bin" / "python"
    stamp = directory / ".installed"
    interpreter = _interpreter(_NEWER.get(name, (3, 0)))
    state = hashlib.sha256("\n".join([sys.version, interpreter, *required]).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == state:
        return python
    print(f"setting up {directory}: {' '.join(required)}", file=sys.stderr, flush=True)
    for command in (
        [interpreter, "-m", "venv", "--clear", str(directory)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *required],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    stamp.write_text(state)
    return python


def _interpreter(oldest: tuple[int, int]) -> str:
    """Return this process's interpreter, or another one that is new enough.

    Raises:
        RuntimeError: There is none on the machine.
    """
    if sys.version_info >= oldest:
        return sys.executable
    candidates: list[str | Path] = [f"python3.{minor}" for minor in range(oldest[1], oldest[1] + 4)]
    # pyenv's own commands on the path run nothing unless a version is chosen.
    candidates += sorted(Path.home().glob(f".pyenv/versions/{oldest[0]}.{oldest[1]}*/bin/python"))
    source = "import sys; print(sys.executable, sys.version_info[0] * 100 + sys.version_info[1])"
    for candidate in candidates:
        try:
            done = subprocess.run([candidate, "-c", source], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        path, number = done.stdout.split()
        if int(number) >= oldest[0] * 100 + oldest[1]:
            return path
    raise RuntimeError(f"There is no Python {oldest[0]}.{oldest[1]} or newer on this machine.")


def versions(name: str) -> dict[str, str]:
    """Return what is installed in an environment, by the names that are required for it."""
    names = [*_SERVERS, "velithon"] if name == "velithon" else [*REQUIREMENTS[name][0], *REQUIREMENTS[name][1]]
    plain = [item.partition("[")[0] for item in names]
    source = f"import importlib.metadata as m; print(*(m.version(n) for n in {plain!r}))"
    done = subprocess.run([python_of(name), "-c", source], capture_output=True, text=True, check=True)
    return dict(zip(plain, done.stdout.split(), strict=True))
