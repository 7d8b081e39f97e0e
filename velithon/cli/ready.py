"""The line that says that the server is ready.

It is written when the first worker listens, not when the worker is started.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING

from velithon_adapters.servers.address import url

if TYPE_CHECKING:
    from collections.abc import Callable

    from velithon_adapters.servers import ServerConfig

__all__ = ["announce_when_ready"]

_PERIOD = 0.02
# Nobody starts for longer; whoever does is found by the log.
_GIVE_UP = 600.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def announce_when_ready(config: ServerConfig, is_ready: Callable[[], bool], started: float) -> None:
    """Log `Ready in 0.8 s at http://127.0.0.1:8000` once connections are taken.

    Args:
        config: With the address that was bound.
        is_ready: Whether the application of a worker has started.
        started: When the command began, by `time.monotonic()`.
    """
    threading.Thread(target=_wait, args=(config, is_ready, started), name="ready", daemon=True).start()


def _wait(config: ServerConfig, is_ready: Callable[[], bool], started: float) -> None:
    while time.monotonic() - started < _GIVE_UP:
        if is_ready() and _is_listening(config):
            seconds = time.monotonic() - started
            address = url(config)
            logging.getLogger("velithon").info(
                "Ready in %.1f s at %s", seconds, address, extra={"seconds": round(seconds, 3), "address": address}
            )
            return
        time.sleep(_PERIOD)


def _is_listening(config: ServerConfig) -> bool:
    try:
        if config.uds is not None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(1)
                probe.connect(str(config.uds))
        else:
            host = _EVERYWHERE.get(config.host, config.host)
            socket.create_connection((host, config.port), timeout=1).close()
    except OSError:
        return False
    return True
