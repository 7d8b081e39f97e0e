"""`velithon run`: serve an application with Granian or Uvicorn."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from velithon.cli import app, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from velithon._runtime.json_values import JSONObject
    from velithon_adapters.servers import ServerConfig

    # The command's options, as click has read them.
    Params = dict[str, Any]

__all__ = ["run"]


def _build_option(name: str, text: str, *, negatable: bool = False, **settings: Any) -> Any:
    """An option that may also come from the environment: `--log-level` from `VELITHON_LOG_LEVEL`."""
    declared = f"{name}/--no-{name[2:]}" if negatable else name
    envvar = f"VELITHON_{name[2:].upper().replace('-', '_')}"
    settings = {"envvar": envvar, "show_envvar": False, "show_default": False, **settings}
    return typer.Option(declared, help=text, rich_help_panel=_find_panel(name), **settings)


# What the names of a panel's options begin with.
_PANELS = {
    "HTTP/1 and HTTP/2, on Granian": ("--http1", "--http2"),
    "Server": ("--server", "--interface", "--host", "--port", "--uds", "--http", "--loop", "--url-path", "--forwarded"),
    "Workers": ("--workers", "--rss", "--limit-max", "--respawn", "--blocking"),
    "Development": ("--reload", "--debug"),
    "Logging": ("--log", "--access-log", "--max-bytes", "--backup"),
    "TLS": ("--ssl",),
    "Granian": ("--runtime", "--task", "--backpressure"),
}


def _find_panel(name: str) -> str:
    return next((title for title, starts in _PANELS.items() if name.startswith(starts)), "Application")


def _read_workers(text: str) -> int:
    """Read `--workers`: a number, or `auto`."""
    if str(text).strip().lower() == "auto":
        from velithon.cli.processors import count_processors

        return count_processors()
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise typer.BadParameter(f"{text!r} is neither a number from 1 nor auto.")
    return number


def _load_env_file(file: Path | None) -> Path | None:
    """Put the file's variables into the environment, where those that are set already win."""
    if file is not None:
        from dotenv import load_dotenv

        if not file.is_file():
            raise fail(f"--env-file: there is no file {file}")
        load_dotenv(file, override=False)
    return file


Level = Literal["critical", "error", "warning", "info", "debug"]
Loop = Literal["auto", "asyncio", "uvloop", "rloop", "winloop"]


@app.command(rich_help_panel="Serve")
def run(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="MODULE:ATTRIBUTE", help="The application, such as main:app.")
    ] = None,
    app_option: Annotated[
        str | None, _build_option("--app", "The application, such as main:app; the same as the argument.")
    ] = None,
    factory: Annotated[
        bool, _build_option("--factory", "The attribute is a function that returns the application.")
    ] = (False),
    as_fastapi: Annotated[
        bool,
        _build_option(
            "--as-fastapi", "Have `import fastapi` mean Velithon: runs an application written for FastAPI as it is."
        ),
    ] = False,
    check_import: Annotated[
        bool,
        _build_option(
            "--check-import",
            "Import the application before the workers do, so that a mistake is told at once. Default: yes.",
            negatable=True,
        ),
    ] = True,
    url_path_prefix: Annotated[
        str | None, _build_option("--url-path-prefix", "The path that a proxy strips from requests (root_path).")
    ] = None,
    forwarded_allow_ips: Annotated[
        str | None,
        _build_option(
            "--forwarded-allow-ips",
            "Proxies whose X-Forwarded-* and Forwarded headers count: addresses, networks, unix, *."
            " Default: 127.0.0.1.",
            envvar=["VELITHON_FORWARDED_ALLOW_IPS", "FORWARDED_ALLOW_IPS"],
        ),
    ] = None,
    env_file: Annotated[
        Path | None,
        _build_option(
            "--env-file",
            "Read environment variables from this file first.",
            is_eager=True,
            callback=_load_env_file,
        ),
    ] = None,
    server: Annotated[Literal["granian", "uvicorn"], _build_option("--server", "Default: granian.")] = "granian",
    interface: Annotated[
        Literal["rsgi", "asgi"] | None,
        _build_option("--interface", "How the server calls the application. Default: rsgi on Granian."),
    ] = None,
    host: Annotated[str, _build_option("--host", "Address to listen on. Default: 127.0.0.1.")] = "127.0.0.1",
    port: Annotated[
        int, _build_option("--port", "Port to listen on; 0 takes a free one. Default: 8000.", min=0, max=65535)
    ] = 8000,
    uds: Annotated[
        Path | None, _build_option("--uds", "Listen on this UNIX socket instead of an address and port.")
    ] = None,
    workers: Annotated[
        int,
        _build_option(
            "--workers",
            "Worker processes; auto: as many as there are processors. Default: 1.",
            parser=_read_workers,
            metavar="INTEGER|auto",
        ),
    ] = 1,
    reload: Annotated[
        bool, _build_option("--reload", "Restart when a Python file below the working directory changes.")
    ] = False,
    debug: Annotated[
        bool, _build_option("--debug", "asyncio's debug mode: steps of over 0.1 s are logged with their endpoint.")
    ] = False,
    workers_kill_timeout: Annotated[
        int,
        _build_option("--workers-kill-timeout", "Seconds a worker may take to stop. Default: 10.", min=1, max=1800),
    ] = 10,
    workers_lifetime: Annotated[
        int | None, _build_option("--workers-lifetime", "Seconds after which Granian replaces a worker.", min=60)
    ] = None,
    workers_max_rss: Annotated[
        int | None, _build_option("--workers-max-rss", "MiB of memory at which Granian replaces a worker.", min=1)
    ] = None,
    rss_sample_interval: Annotated[
        int | None, _build_option("--rss-sample-interval", "Seconds between two looks. Default: 30.", min=1, max=300)
    ] = None,
    rss_samples: Annotated[
        int | None, _build_option("--rss-samples", "Looks in a row that must find too much. Default: 1.", min=1)
    ] = None,
    limit_max_requests: Annotated[
        int | None, _build_option("--limit-max-requests", "Requests after which Uvicorn replaces a worker.", min=1)
    ] = None,
    respawn_failed_workers: Annotated[
        bool | None,
        _build_option("--respawn-failed-workers", "Replace workers that died. Default: yes.", negatable=True),
    ] = None,
    log_level: Annotated[
        Level, _build_option("--log-level", "In any case. Default: info.", case_sensitive=False)
    ] = "info",
    log_format: Annotated[
        Literal["text", "json", "pretty"],
        _build_option("--log-format", "pretty: short and coloured. Default: text.", case_sensitive=False),
    ] = "text",
    access_log: Annotated[bool, _build_option("--access-log", "Log a line for every request.", negatable=True)] = (
        False
    ),
    log_to_file: Annotated[bool, _build_option("--log-to-file", "Log to a file as well as to the console.")] = False,
    log_file: Annotated[
        Path | None, _build_option("--log-file", "That file; implies --log-to-file. Default: velithon.log.")
    ] = None,
    max_bytes: Annotated[
        int | None,
        _build_option("--max-bytes", "Size at which a new file begins; 0: never. Default: 10485760 (10 MiB).", min=0),
    ] = None,
    backup_count: Annotated[
        int | None, _build_option("--backup-count", "How many full files are kept. Default: 7.", min=0)
    ] = None,
    ssl_certificate: Annotated[Path | None, _build_option("--ssl-certificate", "Certificate chain, PEM.")] = None,
    ssl_keyfile: Annotated[Path | None, _build_option("--ssl-keyfile", "Private key, PEM.")] = None,
    ssl_keyfile_password: Annotated[
        str | None,
        _build_option("--ssl-keyfile-password", "Password of the key; safer in VELITHON_SSL_KEYFILE_PASSWORD."),
    ] = None,
    http: Annotated[
        Literal["auto", "1", "2"] | None, _build_option("--http", "Version of HTTP. Default: auto.")
    ] = None,
    loop: Annotated[Loop | None, _build_option("--loop", "Event loop. Default: auto, the fastest installed.")] = None,
    blocking_threads: Annotated[
        int | None,
        _build_option("--blocking-threads", "Threads for synchronous endpoints, in each worker. Default: 40.", min=1),
    ] = None,
    runtime_threads: Annotated[
        int | None, _build_option("--runtime-threads", "Granian's Rust threads, in each worker. Default: 1.", min=1)
    ] = None,
    runtime_mode: Annotated[
        Literal["auto", "mt", "st"] | None,
        _build_option("--runtime-mode", "Granian's runtime, single- or multi-threaded. Default: auto."),
    ] = None,
    runtime_blocking_threads: Annotated[
        int | None,
        _build_option("--runtime-blocking-threads", "Granian's Rust threads for files. Default: 512.", min=1),
    ] = None,
    task_impl: Annotated[
        Literal["asyncio", "rust"] | None, _build_option("--task-impl", "Granian's tasks. Default: asyncio.")
    ] = None,
    backpressure: Annotated[
        int | None,
        _build_option(
            "--backpressure",
            "Connections of one Granian worker, idle ones too; others wait. Default: 1024 / workers.",
            min=1,
        ),
    ] = None,
    http1_keep_alive: Annotated[
        bool | None, _build_option("--http1-keep-alive", "Keep connections open. Default: yes.", negatable=True)
    ] = None,
    http1_header_read_timeout: Annotated[
        int | None,
        _build_option(
            "--http1-header-read-timeout", "Milliseconds to read headers. Default: 30000.", min=1, max=60_000
        ),
    ] = None,
    http1_buffer_size: Annotated[
        int | None, _build_option("--http1-buffer-size", "Largest buffer in bytes. Default: 417792.", min=8192)
    ] = None,
    http1_pipeline_flush: Annotated[
        bool | None,
        _build_option("--http1-pipeline-flush", "Gather pipelined responses. Default: no.", negatable=True),
    ] = None,
    http2_max_concurrent_streams: Annotated[
        int | None, _build_option("--http2-max-concurrent-streams", "Streams of a connection. Default: 200.", min=10)
    ] = None,
    http2_initial_connection_window_size: Annotated[
        int | None,
        _build_option("--http2-initial-connection-window-size", "Bytes in flight. Default: 1048576.", min=1024),
    ] = None,
    http2_initial_stream_window_size: Annotated[
        int | None,
        _build_option("--http2-initial-stream-window-size", "Bytes in flight. Default: 1048576.", min=1024),
    ] = None,
    http2_adaptive_window: Annotated[
        bool | None,
        _build_option(
            "--http2-adaptive-window", "Size windows by the connection's speed. Default: no.", negatable=True
        ),
    ] = None,
    http2_keep_alive_interval: Annotated[
        int | None,
        _build_option("--http2-keep-alive-interval", "Milliseconds between pings. Default: none.", min=1, max=60_000),
    ] = None,
    http2_keep_alive_timeout: Annotated[
        int | None, _build_option("--http2-keep-alive-timeout", "Seconds to answer a ping. Default: 20.", min=1)
    ] = None,
    http2_max_frame_size: Annotated[
        int | None, _build_option("--http2-max-frame-size", "Bytes. Default: 16384.", min=1024)
    ] = None,
    http2_max_headers_size: Annotated[
        int | None, _build_option("--http2-max-headers-size", "Bytes. Default: 16777216.", min=1)
    ] = None,
    http2_max_send_buffer_size: Annotated[
        int | None, _build_option("--http2-max-send-buffer-size", "Bytes of a stream. Default: 409600.", min=1024)
    ] = None,
) -> None:
    """Serve an application with Granian or Uvicorn.

    Every option can also be set by an environment variable: --log-level by VELITHON_LOG_LEVEL, and so on.
    An option that the chosen server cannot honour is an error.
    """
    source = context.get_parameter_source("app_option")
    if target and app_option not in (None, target) and source is not None and source.name == "COMMANDLINE":
        raise fail(f"Two applications were given, {target!r} and --app {app_option!r}")
    name = target or app_option
    if not name:
        raise fail("No application was given; name it as module:attribute, such as `velithon run main:app`.")
    if as_fastapi:
        from velithon.compat import install

        install()
    from velithon.cli.signals import ended_by_signals

    with ended_by_signals():
        _serve(name, context.params)


def _serve(name: str, params: Params) -> None:
    began = time.monotonic()
    from velithon._runtime.loading import AppTarget, LoadError
    from velithon.cli.ready import announce_when_ready
    from velithon_adapters.servers import ServerConfig, ServerError, get_runner

    module = get_runner(params["server"])
    if params["debug"]:
        # Read by every loop that is made from here on, in workers too.
        os.environ["PYTHONASYNCIODEBUG"] = "1"
    load = AppTarget(name, factory=params["factory"], log_warnings=True, debug=params["debug"])
    fields = {key: params[key] for key in ServerConfig.__dataclass_fields__ if key in params}
    config = ServerConfig(load=load, name=name, **fields)
    try:
        module.check(config)
        config.log_config = _configure_logging(params)
        if params["reload"]:
            # Who reloads is developing; applications may read it, and frontends need not be built yet.
            os.environ.setdefault("VELITHON_ENV", "development")
        application = load() if params["check_import"] else None
        health = getattr(getattr(application, "state", None), "health", None)
        config.shutdown_delay = getattr(health, "shutdown_delay", 0.0)

        def announce(is_ready: Callable[[], bool]) -> None:
            _announce(config, params, application, module.protocol(config))
            announce_when_ready(config, is_ready, began)

        with _share_metrics(config.workers, seen=application is not None):
            module.serve(config, announce)
    except (LoadError, ServerError) as exc:
        if params["log_format"] == "json":
            raise _fail_in_json(str(exc)) from exc
        raise fail(str(exc)) from exc


@contextmanager
def _share_metrics(workers: int, *, seen: bool) -> Iterator[None]:
    """Let prometheus-client, where the application has it, add up several workers: it does so through files.

    Args:
        workers: How many there are.
        seen: Whether the application was imported here; otherwise it may have whatever is installed.
    """
    name = "PROMETHEUS_MULTIPROC_DIR"
    has_it = "prometheus_client" in sys.modules if seen else find_spec("prometheus_client") is not None
    if workers == 1 or not has_it or os.environ.get(name):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="velithon-metrics-", ignore_cleanup_errors=True) as directory:
        # The workers, which are new processes, read it when they import prometheus-client.
        os.environ[name] = directory
        try:
            yield
        finally:
            del os.environ[name]


def _fail_in_json(message: str) -> typer.Exit:
    """Write a message, with the traceback that may follow its first line, as `fail` does, but as a line of the log."""
    import logging

    from velithon.logging import JSONFormatter

    message, _, trace = message.partition("\n")
    record = logging.makeLogRecord(
        {"name": "velithon", "levelname": "ERROR", "msg": message.removesuffix(":"), "exc_text": trace or None}
    )
    typer.echo(JSONFormatter().format(record), err=True)
    return typer.Exit(1)


def _configure_logging(params: Params) -> JSONObject:
    from velithon.logging import DEFAULT_BACKUP_COUNT, DEFAULT_LOG_FILE, DEFAULT_MAX_BYTES, configure_logging

    file: Path | None = params["log_file"] or (Path(DEFAULT_LOG_FILE) if params["log_to_file"] else None)
    max_bytes, backup_count = params["max_bytes"], params["backup_count"]
    if file is None:
        for option, value in (("--max-bytes", max_bytes), ("--backup-count", backup_count)):
            if value is not None:
                raise fail(f"{option} needs --log-to-file.")
    elif not file.absolute().parent.is_dir():
        raise fail(f"--log-file: there is no directory {file.absolute().parent}")
    try:
        return configure_logging(
            params["log_level"],
            log_format=params["log_format"],
            file=file,
            max_bytes=DEFAULT_MAX_BYTES if max_bytes is None else max_bytes,
            backup_count=DEFAULT_BACKUP_COUNT if backup_count is None else backup_count,
        )
    except ValueError as exc:  # logging's wrapping of an OSError: a directory, or no permission
        raise fail(f"--log-file: cannot write to {file}: {exc.__cause__ or exc}") from exc


def _announce(config: ServerConfig, params: Params, application: object, protocol: str) -> None:
    """Say where the application is, with a line of JSON where the log is JSON, so that each line is an object."""
    import importlib.metadata
    import logging

    from velithon.cli.version import describe_version
    from velithon_adapters.servers.address import url

    address = url(config)
    facts = {
        "address": address,
        "server": f"{params['server']} {importlib.metadata.version(params['server'])}",
        "protocol": protocol,
    }
    docs = getattr(application, "docs_url", None)
    if isinstance(docs, str) and getattr(application, "openapi_url", None):
        facts["docs"] = ("" if config.uds else address) + docs
    if params["log_format"] == "json":
        logging.getLogger("velithon").info("Serving %s", config.name, extra=facts)
        return
    lines = [f"{describe_version()} serves {config.name}", *(f"  {key:<9} {value}" for key, value in facts.items())]
    typer.echo("\n".join(lines))
