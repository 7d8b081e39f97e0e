"""Who is compared: a framework on a server, and how it is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.envs import python_of

__all__ = ["PEERS", "SHORT", "Peer", "select"]

Server = Literal["granian-rsgi", "granian-asgi", "uvicorn", "sanic", "robyn", "bolt", "velithon"]


@dataclass(frozen=True)
class Peer:
    """A framework on a server.

    Args:
        name: In the tables.
        framework: The name of its environment (see `benchmarks.envs`).
        module: Of its application, in `benchmarks.apps`.
        server: What it runs on.
        options: Further options of Granian, or of `velithon run`.
    """

    name: str
    framework: str
    module: str
    server: Server
    options: tuple[str, ...] = ()

    def command(self, port: int, workers: int = 1, certificate: tuple[Path, Path] | None = None) -> list[str]:
        """Return the command that serves the application on a port of 127.0.0.1, with uvloop.

        Args:
            port: The port.
            workers: How many processes answer.
            certificate: The files of a certificate and of its key, for TLS.

        Raises:
            ValueError: Its server is started with one worker only, or without TLS.
        """
        if certificate is not None and not self.server.startswith("granian"):
            raise ValueError(f"{self.name} is measured without TLS only.")
        python = str(python_of(self.framework))
        target = f"benchmarks.apps.{self.module}"
        bind = ["--host", "127.0.0.1", "--port", str(port)]
        if self.server == "velithon":
            return [python, "-m", "velithon", "run", *bind, "--workers", str(workers), *self.options, f"{target}:app"]
        if self.server in ("robyn", "sanic", "uvicorn") and workers > 1:
            raise ValueError(f"{self.name} is measured with one worker only.")
        if self.server == "bolt":
            return [python, "-m", target, str(port), str(workers)]
        if self.server == "uvicorn":
            quiet = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
            return [python, "-m", "uvicorn", *bind, *quiet, f"{target}:app"]
        if self.server == "sanic":
            return [python, "-m", "sanic", *bind, "--single-process", "--no-access-logs", "--no-motd", f"{target}:app"]
        if self.server == "robyn":
            return [python, "-m", target, str(port)]
        interface = self.server.removeprefix("granian-")
        quiet = ["--loop", "uvloop", "--workers", str(workers), "--no-access-log", "--log-level", "error"]
        if certificate is not None:
            quiet += ["--ssl-certificate", str(certificate[0]), "--ssl-keyfile", str(certificate[1])]
        return [python, "-m", "granian", "--interface", interface, *bind, *quiet, *self.options, f"{target}:app"]

    @property
    def source(self) -> Path:
        """The file of its application."""
        return Path(__file__).parent / "apps" / f"{self.module}.py"


PEERS = (
    Peer("raw RSGI", "velithon", "raw_rsgi", "granian-rsgi"),
    Peer("Velithon, Granian RSGI", "velithon", "velithon_app", "granian-rsgi"),
    Peer("Velithon, velithon run", "velithon", "velithon_app", "velithon"),
    Peer("Velithon, Granian ASGI", "velithon", "velithon_app", "granian-asgi"),
    Peer("Velithon, Uvicorn", "velithon", "velithon_app", "uvicorn"),
    Peer("FastAPI, Granian ASGI", "fastapi", "fastapi_app", "granian-asgi"),
    Peer("FastAPI, Uvicorn", "fastapi", "fastapi_app", "uvicorn"),
    Peer("Starlette, Granian ASGI", "starlette", "starlette_app", "granian-asgi"),
    Peer("Starlette, Uvicorn", "starlette", "starlette_app", "uvicorn"),
    Peer("Litestar, Granian ASGI", "litestar", "litestar_app", "granian-asgi"),
    Peer("BlackSheep, Granian ASGI", "blacksheep", "blacksheep_app", "granian-asgi"),
    Peer("Django-Bolt", "bolt", "bolt_app", "bolt"),
    Peer("Emmett55, Granian RSGI", "emmett55", "emmett_app", "granian-rsgi"),
    Peer("Robyn", "robyn", "robyn_app", "robyn"),
    Peer("Sanic", "sanic", "sanic_app", "sanic"),
)
# What the short form runs: these need no environment but the present one.
SHORT = ("raw RSGI", "Velithon, Granian RSGI", "Velithon, Uvicorn")


def select(names: str | None, default: tuple[str, ...] | None = None) -> list[Peer]:
    """Return the peers whose names contain one of the given parts, in any case.

    Args:
        names: Parts, separated by semicolons if there are any, else by commas.
        default: Names that are taken when `names` is `None`; all by default.

    Raises:
        ValueError: A part is in no name.
    """
    if names is None:
        return [peer for peer in PEERS if default is None or peer.name in default]
    parts = [part.strip().lower() for part in names.split(";" if ";" in names else ",")]
    for part in parts:
        if not any(part in peer.name.lower() for peer in PEERS):
            raise ValueError(f"no peer is named {part!r}; there are: {'; '.join(peer.name for peer in PEERS)}")
    return [peer for peer in PEERS if any(part in peer.name.lower() for part in parts)]
