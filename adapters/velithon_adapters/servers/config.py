"""What a server is started with: one description for Granian and for Uvicorn.

`None` means that an option was not given and the server's own default holds. That is how a server can tell an option
which it cannot honour from one that nobody asked for.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from velithon_adapters.forwarded import TrustedProxies

__all__ = ["OptionError", "ServerConfig", "ServerError", "Started", "reject_unsupported"]

# An exit code that says: do not start this worker again, it would fail the same way. Uvicorn uses the same number.
STARTUP_FAILURE = 3


class ServerError(Exception):
    """The server cannot start; the message is one line for the person who started it."""


class OptionError(ServerError):
    """An option was given that the chosen server cannot honour."""

    def __init__(self, server: str, option: str, instead: str) -> None:
        """Name the server, the option as it is written on the command line, and what to use instead."""
        super().__init__(f"{server} cannot honour {option}: {instead}")
        self.server = server
        self.option = option


Started = Callable[[Callable[[], bool]], None]
"""Called by a server when its address is known and free, with a function that tells whether a worker has started."""


@dataclass(kw_only=True)
class ServerConfig:
    """Options of a server.

    Times in seconds and sizes in bytes unless the name says otherwise.

    Args:
        load: Returns the application. Called in every worker process, so it must be picklable.
        name: The application's name in messages.
        host: The address or host name to listen on.
        port: The TCP port; 0 takes a free one.
        uds: The path of a UNIX socket to listen on instead of `host` and `port`.
        interface: What the server calls the application with. Granian's default is `rsgi`, Uvicorn has only `asgi`.
        workers: The number of worker processes.
        reload: Start the workers anew when a Python file under the working directory changes.
        url_path_prefix: The path that a proxy strips before it passes a request on (ASGI's `root_path`).
        forwarded_allow_ips: Whose `X-Forwarded-*` and `Forwarded` headers are believed: see `TrustedProxies`. By
            default `X-Forwarded-For` and `-Proto` from 127.0.0.1 and, with `uds`, from who opens that socket.
        log_config: A dictionary for `logging.config.dictConfig`, applied in every worker; `None` leaves logging alone.
        log_level: The level of the servers' own loggers, in lower case.
        access_log: Log a line for every request.
        workers_kill_timeout: How long a worker may take to stop, from the signal to its end.
        shutdown_delay: How long the application goes on listening after the signal; added to `workers_kill_timeout`.
        workers_lifetime: How long a Granian worker lives before another takes its place.
        workers_max_rss: MiB of memory at which a Granian worker is replaced.
        rss_sample_interval: How often its memory is looked at.
        rss_samples: How many looks in a row must find too much.
        limit_max_requests: How many requests a Uvicorn worker answers before another takes its place.
        respawn_failed_workers: Replace a worker that died. Default: yes, where there is a process to do it.
        blocking_threads: The number of threads for synchronous endpoints and dependencies in each worker.
        ssl_certificate: A file with the certificate chain, PEM.
        ssl_keyfile: A file with its private key, PEM.
        ssl_keyfile_password: The password of an encrypted key.
        http: The versions of HTTP to speak.
        loop: The event loop.
        backpressure: How many connections a Granian worker has at most, idle ones too; others wait to be accepted.
        runtime_threads: Granian's Rust threads in each worker.
        runtime_mode: Granian's runtime, single- or multi-threaded.
        runtime_blocking_threads: Granian's Rust threads for file system calls.
        task_impl: Granian's tasks: asyncio's or its own.
        http1_buffer_size: The largest buffer of an HTTP/1 connection.
        http1_header_read_timeout: Milliseconds that a client may take to send a request's headers.
        http1_keep_alive: Keep HTTP/1 connections open between requests.
        http1_pipeline_flush: Gather writes of pipelined responses.
        http2_adaptive_window: Size the flow control window by the connection's speed.
        http2_initial_connection_window_size: Flow control window of a connection.
        http2_initial_stream_window_size: Flow control window of a stream.
        http2_keep_alive_interval: Milliseconds between PING frames.
        http2_keep_alive_timeout: How long an answer to a PING may take.
        http2_max_concurrent_streams: SETTINGS_MAX_CONCURRENT_STREAMS.
        http2_max_frame_size: The largest frame.
        http2_max_headers_size: The largest header list.
        http2_max_send_buffer_size: The largest write buffer of a stream.
    """

    load: Callable[[], object]
    name: str = "the application"
    host: str = "127.0.0.1"
    port: int = 8000
    uds: Path | None = None
    interface: Literal["rsgi", "asgi"] | None = None
    workers: int = 1
    reload: bool = False
    url_path_prefix: str | None = None
    forwarded_allow_ips: str | None = None
    log_config: dict[str, Any] | None = None
    log_level: str = "info"
    access_log: bool = False
    workers_kill_timeout: int = 10
    shutdown_delay: float = 0.0
    workers_lifetime: int | None = None
    workers_max_rss: int | None = None
    rss_sample_interval: int | None = None
    rss_samples: int | None = None
    limit_max_requests: int | None = None
    respawn_failed_workers: bool | None = None
    blocking_threads: int | None = None
    ssl_certificate: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_keyfile_password: str | None = field(default=None, repr=False)
    http: Literal["auto", "1", "2"] | None = None
    loop: str | None = None
    backpressure: int | None = None
    runtime_threads: int | None = None
    runtime_mode: Literal["auto", "mt", "st"] | None = None
    runtime_blocking_threads: int | None = None
    task_impl: Literal["asyncio", "rust"] | None = None
    http1_buffer_size: int | None = None
    http1_header_read_timeout: int | None = None
    http1_keep_alive: bool | None = None
    http1_pipeline_flush: bool | None = None
    http2_adaptive_window: bool | None = None
    http2_initial_connection_window_size: int | None = None
    http2_initial_stream_window_size: int | None = None
    http2_keep_alive_interval: int | None = None
    http2_keep_alive_timeout: int | None = None
    http2_max_concurrent_streams: int | None = None
    http2_max_frame_size: int | None = None
    http2_max_headers_size: int | None = None
    http2_max_send_buffer_size: int | None = None

    @property
    def address(self) -> int | str:
        """What connections are bound to: the port, or the path of the UNIX socket."""
        return self.port if self.uds is None else str(self.uds)

    @property
    def root_path(self) -> str:
        """`url_path_prefix` as ASGI has it: `"/prefix"`, or empty."""
        prefix = (self.url_path_prefix or "").strip("/")
        return f"/{prefix}" if prefix else ""

    def given(self, prefix: str) -> dict[str, Any]:
        """Return the options whose name begins with `prefix` and that were given, without the prefix."""
        return {
            name.removeprefix(prefix): value
            for name, value in vars(self).items()
            if name.startswith(prefix) and value is not None
        }

    def trusted_proxies(self) -> TrustedProxies:
        """Return the proxies that are believed.

        Raises:
            ServerError: `forwarded_allow_ips` names a network that is none.
        """
        if self.forwarded_allow_ips is None:
            return TrustedProxies("127.0.0.1" if self.uds is None else "127.0.0.1,unix", only_plain=True)
        try:
            return TrustedProxies(self.forwarded_allow_ips)
        except ValueError as exc:
            raise ServerError(f"--forwarded-allow-ips: {exc}") from exc

    def check_certificate(self) -> None:
        """Check that certificate, key and password fit one another.

        All of them may be absent.
        """
        certificate, key = self.ssl_certificate, self.ssl_keyfile
        if certificate is None and key is None:
            if self.ssl_keyfile_password is not None:
                raise ServerError("--ssl-keyfile-password needs --ssl-certificate and --ssl-keyfile.")
            return
        if certificate is None or key is None:
            given, missing = ("certificate", "keyfile") if key is None else ("keyfile", "certificate")
            raise ServerError(f"--ssl-{given} needs --ssl-{missing}")
        for option, path in (("certificate", certificate), ("keyfile", key)):
            if not path.is_file():
                raise ServerError(f"--ssl-{option}: there is no file {path}")
        try:
            # an empty password instead of None: OpenSSL would ask on the terminal for the password of an encrypted key
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, self.ssl_keyfile_password or "")
        except (ssl.SSLError, ValueError, OSError) as exc:
            raise ServerError(f"Cannot use {certificate} with {key}: {_explain(exc)}") from exc


def _explain(exc: Exception) -> str:
    reason = getattr(exc, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key is not the certificate's"
    if reason is None or "DECRYPT" in reason or "PEM" in reason:
        return "not a PEM file, or the password (--ssl-keyfile-password) is missing or wrong"
    return str(reason)


def reject_unsupported(config: ServerConfig, server: str, unsupported: Mapping[str, str]) -> None:
    """Raise `OptionError` for the first option that was given although `server` cannot honour it.

    Args:
        config: The options.
        server: The server's name for the message.
        unsupported: For each field of the configuration that the server has no use for, what to use instead.
    """
    for name, instead in unsupported.items():
        value = getattr(config, name)
        if value is not None:
            option = f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
            raise OptionError(server, option, instead)
