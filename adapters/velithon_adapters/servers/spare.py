"""The next worker of a server that reloads.

It has imported everything but the application, and waits.

What a change costs then is the import of the application, not that of Python, of the framework and of the server. The
next worker imports the application while the last one stops, and starts it when that one is gone: what an application
opens, nobody else holds.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from velithon_adapters.servers.config import ServerConfig

__all__ = ["Barrier", "Gate", "gates", "keeps_spare"]

_IMPORT, _START, _LOADED = b"import", b"start", b"loaded"


@dataclass
class Gate:
    """The worker's end; goes to the worker in a pickle."""

    connection: Connection

    def wait_to_import(self, config: ServerConfig) -> None:
        """Import what any application needs, and wait until this one is to be imported."""
        prepare = getattr(config.load, "prepare", None)
        if prepare is not None:
            prepare()
        self._wait(_IMPORT)

    def wait_to_start(self) -> None:
        """Say that the application is imported, and wait until it is to be started."""
        try:
            self.connection.send_bytes(_LOADED)
        except OSError:
            os._exit(0)
        self._wait(_START)

    def _wait(self, word: bytes) -> None:
        try:
            if self.connection.recv_bytes() == word:
                return
        except (EOFError, OSError, KeyboardInterrupt):
            pass
        # The server ends, and this process has begun nothing that it would have to end.
        os._exit(0)


@dataclass
class Barrier:
    """The server's end."""

    connection: Connection

    def open(self) -> None:
        """Let the worker import the application."""
        self._send(_IMPORT)

    def start(self) -> None:
        """Let the worker start the application."""
        self._send(_START)

    def has_loaded(self, timeout: float) -> bool:
        """Tell whether the worker has imported the application, or ended.

        Waits for that for at most `timeout` seconds.
        """
        return self.connection.poll(timeout)

    def _send(self, word: bytes) -> None:
        try:
            self.connection.send_bytes(word)
        except OSError:
            return  # it has ended, which its parent sees


def gates() -> tuple[Gate, Barrier]:
    """Return the two ends for a new worker."""
    ours, theirs = multiprocessing.Pipe()
    return Gate(theirs), Barrier(ours)


def keeps_spare(config: ServerConfig) -> bool:
    """Tell whether a server keeps the next worker ready.

    It does where it reloads, and where nothing that may change is imported yet.
    """
    return config.reload and config.workers == 1 and _is_main_ours() and not _are_we_watched()


def _is_main_ours() -> bool:
    """Tell whether spawned processes, which import the main module again, import nothing of the user's by that."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).partition(".")[0] == "velithon"
    file = getattr(main, "__file__", None)
    return file is not None and Path(file).stem == "velithon"  # the script that pip makes


def _are_we_watched() -> bool:
    """Tell whether the framework itself is what is being written."""
    from watchfiles import Change, PythonFilter

    is_watched = PythonFilter()
    for package in ("velithon", "velithon_adapters"):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None and Path(spec.origin).is_relative_to(Path.cwd()):
            return is_watched(Change.modified, spec.origin)
    return False
