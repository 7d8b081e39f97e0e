"""Uvicorn, which speaks ASGI and HTTP/1.

One worker runs in this process, unless workers are to be respawned or reloaded; then, and with several, this process
supervises.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Final, Literal

import uvicorn

from velithon_adapters.servers.address import bind
from velithon_adapters.servers.config import (
    STARTUP_FAILURE,
    OptionError,
    ServerConfig,
    Started,
    reject_unsupported,
)
from velithon_adapters.servers.supervising import leaving_no_workers
from velithon_adapters.servers.uvicorn_supervisors import Reload, Supervisor
from velithon_adapters.servers.uvicorn_worker import Loader, Server, compute_reserve
from velithon_adapters.servers.worker import logger

__all__ = ["check", "protocol", "serve"]

_GRANIAN: Final = "use --server granian"
_UNSUPPORTED: Final = {
    "backpressure": _GRANIAN,
    "http1_buffer_size": _GRANIAN,
    "http1_header_read_timeout": f"it waits without a limit; {_GRANIAN}",
    "http1_pipeline_flush": _GRANIAN,
    "runtime_blocking_threads": "it has no threads of its own; --blocking-threads bounds those of the application",
    "runtime_mode": "it has one thread; use --workers, or --server granian",
    "runtime_threads": "it has one thread; use --workers, or --server granian",
    "task_impl": _GRANIAN,
    "workers_lifetime": f"use --limit-max-requests, or {_GRANIAN.removeprefix('use ')}",
    "workers_max_rss": f"use --limit-max-requests, or {_GRANIAN.removeprefix('use ')}",
    "rss_sample_interval": _GRANIAN,
    "rss_samples": _GRANIAN,
} | {
    name: f"it speaks HTTP/1 only; {_GRANIAN}"
    for name in ServerConfig.__dataclass_fields__
    if name.startswith("http2_")
}


def check(config: ServerConfig) -> None:
    """Raise `ServerError` for what Uvicorn cannot honour."""
    reject_unsupported(config, "uvicorn", _UNSUPPORTED)
    given: dict[str, tuple[bool, str]] = {
        "--interface rsgi": (config.interface == "rsgi", "it speaks ASGI only; use --server granian"),
        "--http 2": (config.http == "2", "it speaks HTTP/1 only; use --server granian"),
        "--no-http1-keep-alive": (config.http1_keep_alive is False, _GRANIAN),
        f"--loop {config.loop}": (
            config.loop not in (None, "auto", "asyncio", "uvloop"),
            "use auto, asyncio or uvloop, or --server granian",
        ),
        "--reload with --workers": (config.reload and config.workers > 1, "leave one of them out"),
        "--limit-max-requests with --no-respawn-failed-workers": (
            config.limit_max_requests is not None and config.respawn_failed_workers is False,
            "nobody would take a worker's place; leave one of them out",
        ),
        "--reload with --respawn-failed-workers": (
            config.reload and config.respawn_failed_workers is True,
            "the next change of a file starts a failed worker again; leave one of them out",
        ),
    }
    for option, (present, instead) in given.items():
        if present:
            raise OptionError("uvicorn", option, instead)
    config.trusted_proxies()
    config.check_certificate()


def protocol(config: ServerConfig) -> str:
    """Return what Uvicorn will speak, to the application and to clients, for people to read."""
    return "ASGI, HTTP/1"


def serve(config: ServerConfig, started: Started = lambda is_ready: None) -> None:
    """Serve until a signal; call `started` once the address is known and taken.

    Raises:
        ServerError: The address is in use, or an option cannot be honoured.
        SystemExit: With a status that is not 0 when the application did not start or workers died.
    """
    check(config)
    sock = bind(config)
    sock.set_inheritable(True)
    options = _build_config(config)
    server = Server(options, config)
    before = {number: signal.signal(number, server.end_early) for number in (signal.SIGINT, signal.SIGTERM)}
    if (hangup := getattr(signal, "SIGHUP", None)) is not None:  # not on Windows
        before[hangup] = signal.signal(hangup, _end_with_terminal if config.reload else _refuse_restart)
    try:
        started(lambda: True)  # its workers listen when the application has started
        with leaving_no_workers():
            _run(server, options, config, sock)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sock.close()
        if config.uds is not None:
            config.uds.unlink(missing_ok=True)


def _refuse_restart(signum: int, frame: FrameType | None) -> None:
    logger.warning(
        "SIGHUP changes nothing: Uvicorn restarts workers one after the other with --workers 2 or more only. "
        "Use that, or --server granian."
    )


def _end_with_terminal(signum: int, frame: FrameType | None) -> None:
    """End a server in development, whose SIGHUP is the end of its terminal."""
    signal.raise_signal(signal.SIGTERM)


def _run(server: Server, options: uvicorn.Config, config: ServerConfig, sock: socket.socket) -> None:
    if config.reload:
        options.reload_dirs = [Path.cwd()]
        Reload(options, server.run, [sock], config).run()
    elif _has_workers(config):
        supervisor = Supervisor(options, [sock], config)
        supervisor.run()
        if supervisor.failed:
            sys.exit(1)
    else:
        server.run([sock])
        if not server.started:
            sys.exit(STARTUP_FAILURE)


def _has_workers(config: ServerConfig) -> bool:
    """Tell whether the application runs in other processes than this one."""
    replaced = config.respawn_failed_workers is True or config.limit_max_requests is not None
    return config.reload or config.workers > 1 or replaced


def _build_config(config: ServerConfig) -> uvicorn.Config:
    return uvicorn.Config(
        Loader(config),
        factory=True,
        interface="asgi3",
        host=config.host,
        port=config.port,
        uds=str(config.uds) if config.uds else None,
        workers=config.workers,
        loop=config.loop or "auto",
        ws=_find_websockets(),
        # Workers configure logging before they load the application; in this process it is loaded, and may have
        # changed what was configured.
        log_config=config.log_config if _has_workers(config) else None,
        access_log=config.access_log,
        # Granian has nothing like it: the loader does it, the same for both
        proxy_headers=False,
        root_path=config.root_path,
        limit_max_requests=config.limit_max_requests,
        ssl_certfile=config.ssl_certificate,
        ssl_keyfile=config.ssl_keyfile,
        ssl_keyfile_password=config.ssl_keyfile_password,
        # the rest of the time is for the application's shutdown
        timeout_graceful_shutdown=max(1, config.workers_kill_timeout - compute_reserve(config.workers_kill_timeout)),
    )


def _find_websockets() -> type[asyncio.Protocol] | Literal["auto"]:
    try:
        from velithon_adapters.servers.uvicorn_websockets import WebSocketsProtocol
    except ImportError:  # `websockets` is not installed; Uvicorn looks for another package
        return "auto"
    return WebSocketsProtocol
