"""A worker of Uvicorn, which ends in time and loses nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn

from velithon_adapters.servers.config import STARTUP_FAILURE, ServerConfig, ServerError
from velithon_adapters.servers.debugging import log_failure
from velithon_adapters.servers.interface import adapt, trust_proxies
from velithon_adapters.servers.listeners import refuse_connections, until_read
from velithon_adapters.servers.sockets import Stoppable
from velithon_adapters.servers.spare import Gate
from velithon_adapters.servers.worker import (
    end_in_time,
    exit_now,
    has_server_ended,
    limit_threads,
    logger,
    outlive_hangups,
    stop_with_parent,
)
from velithon_adapters.stopping import stopping

if TYPE_CHECKING:
    from velithon_adapters.asgi import ASGIApp, ASGIScope, Receive, Send

__all__ = ["Loader", "Server", "compute_reserve"]

# Seconds for requests that are on their way when listening ends, as in Granian's workers.
LINGER: Final = 0.2
# Seconds for a client that is slower.
PATIENCE: Final = 1.0


def compute_reserve(timeout: int) -> int:
    """Return how many seconds of a worker's end are kept for the application's shutdown."""
    return min(2, timeout // 3)


@dataclass
class Loader:
    """Makes a worker's application; goes to the worker in a pickle.

    Uvicorn calls it in the worker's loop.
    """

    config: ServerConfig
    alive: Connection | None = None
    """Whose other end the supervisor closes when the whole server ends."""
    gate: Gate | None = None
    """What a worker waits at that is there before it is needed."""

    def __call__(self) -> ASGIApp:
        stop_with_parent()
        if os.environ.get("PYTHONASYNCIODEBUG"):
            # Uvicorn has turned it off where Python's own runner would have left it on.
            asyncio.get_running_loop().set_debug(True)
        if multiprocessing.parent_process() is not None:
            outlive_hangups()
        if self.gate is not None:
            self.gate.wait_to_import(self.config)
        try:
            app = trust_proxies(adapt(self.config.load(), "asgi"), self.config.trusted_proxies(), "asgi")
        except ServerError as exc:
            log_failure(exc)
        except Exception:  # noqa: BLE001 - whatever it is, it is logged and ends the process
            logger.exception("Cannot load the application")
        else:
            if self.gate is not None:
                self.gate.wait_to_start()
            stoppable = Stoppable(app)
            return _WithThreads(stoppable, self.config.blocking_threads) if self.config.blocking_threads else stoppable
        sys.exit(STARTUP_FAILURE)


class _WithThreads:
    """Sets the number of threads when the lifespan begins, then stands aside."""

    def __init__(self, app: ASGIApp, threads: int) -> None:
        self.app = app
        self.threads = threads

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await limit_threads(self.threads)
        await self.app(scope, receive, send)


class Server(uvicorn.Server):
    """Uvicorn's server, which ends in time, and at once when told twice.

    Also when threads or a blocked loop hold it.
    """

    def __init__(self, options: uvicorn.Config, config: ServerConfig) -> None:
        super().__init__(options)
        self.settings = config
        self.timeout = config.workers_kill_timeout
        self.over = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        stopping.begin(self.timeout, compute_reserve(self.timeout))
        await self._take_last_connections(sockets or [])
        await super().shutdown(sockets)
        self.over = True

    async def _take_last_connections(self, sockets: list[socket.socket]) -> None:
        """Take the connections that wait while listening ends: the kernel would reset them with what was sent."""
        loader = self.config.app
        assert isinstance(loader, Loader)
        if has_server_ended(loader.alive):
            await refuse_connections([sock.fileno() for sock in sockets])
        waiting = [sock.dup() for sock in sockets]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for sock in waiting:
            with sock, suppress(BlockingIOError):
                while True:
                    connection, _ = sock.accept()
                    connection.setblocking(False)
                    await loop.connect_accepted_socket(self._make_protocol, connection, ssl=self.config.ssl)
        # Their requests are on the way.
        await asyncio.sleep(min(LINGER, self.timeout / 4))
        if not self.settings.reload:  # where a developer waits
            await until_read(self.settings.address, min(PATIENCE, self.timeout / 10) - LINGER)

    def _make_protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg] # of asyncio's class, which it says it is
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def end_early(self, signum: int, frame: FrameType | None) -> None:
        """End the process by a signal that comes before Uvicorn takes them.

        After its end Uvicorn raises the signal again that it took, after a graceful shutdown too: a success here.
        """
        if not self.should_exit:
            sys.exit(128 + signum)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            threading.Thread(target=self._end_in_time, name="end", daemon=True).start()
        elif multiprocessing.parent_process() is None:  # else Ctrl+C and the parent's SIGTERM are two signals for one
            logger.warning("Second signal, exiting at once")
            exit_now(1)
        super().handle_exit(sig, frame)

    def _end_in_time(self) -> None:
        end_in_time(time.monotonic() + self.timeout - 0.2, lambda: self.over)
