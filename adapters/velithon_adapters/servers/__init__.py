"""Granian and Uvicorn behind one configuration.

The servers are imported when they are used: a Uvicorn process never loads Granian.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, Protocol, cast

from velithon_adapters.servers.config import OptionError, ServerConfig, ServerError

if TYPE_CHECKING:
    from velithon_adapters.servers.config import Started

__all__ = ["OptionError", "Runner", "ServerConfig", "ServerError", "ServerName", "get_runner"]

ServerName = Literal["granian", "uvicorn"]

_MODULES: Final = {"granian": "velithon_adapters.servers.granian", "uvicorn": "velithon_adapters.servers.uvicorn"}


class Runner(Protocol):
    """What each server's module has."""

    def check(self, config: ServerConfig) -> None:
        """Raise `ServerError` for an option that the server cannot honour."""

    def protocol(self, config: ServerConfig) -> str:
        """Return what the server will speak, for people to read."""

    def serve(self, config: ServerConfig, started: Started = ...) -> None:
        """Serve until a signal; call `started(is_ready)` once the address is known and free.

        `is_ready()` tells whether who connects is answered; a connection may be taken before that.
        """


def get_runner(server: ServerName) -> Runner:
    """Return the module that runs `server`."""
    return cast("Runner", import_module(_MODULES[server]))
