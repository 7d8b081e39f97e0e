"""Binds the server's address before the server starts.

So an address that is in use is one line instead of a traceback.

Granian's workers each bind the port with SO_REUSEPORT: a second server on the same port would start without a word and
take half of the connections. So the port is bound once without that option, which fails when anybody listens there.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from velithon_adapters.servers.config import ServerConfig, ServerError

__all__ = ["bind", "url"]


def bind(config: ServerConfig) -> socket.socket:
    """Return a socket that is bound to the configured address.

    The numeric host and port are written back to `config`.

    Raises:
        ServerError: The address is in use, does not exist, or may not be used.
    """
    return _bind_uds(config.uds) if config.uds is not None else _bind_tcp(config)


def _bind_tcp(config: ServerConfig) -> socket.socket:
    try:
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise ServerError(f"There is no host {config.host!r} to listen on.") from exc
    # a name such as localhost may stand for both versions: IPv4 is what Uvicorn's workers and most clients take first
    family, kind, proto, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    sock = socket.socket(family, kind, proto)
    try:
        if os.name == "posix":  # on Windows the option would allow what it is to prevent
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
    except (OSError, OverflowError) as exc:
        sock.close()
        raise ServerError(f"Cannot listen on {_join_address(config.host, config.port)}: {_explain(exc)}") from exc
    config.host, config.port = sock.getsockname()[:2]
    return sock


def _bind_uds(path: Path) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ServerError("--uds: this system has no UNIX sockets.")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
    except OSError as exc:
        sock.close()
        raise ServerError(f"Cannot listen on unix:{path}: {_explain(exc)}") from exc
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket file that a dead server left; nobody else's file, and not that of a living server."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ServerError(f"Cannot listen on unix:{path}: the file exists and is no socket.")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as exc:
            raise ServerError(f"Cannot listen on unix:{path}: {_explain(exc)}") from exc
    raise ServerError(f"Cannot listen on unix:{path}: another server uses it.")


def _explain(exc: Exception) -> str:
    number = getattr(exc, "errno", None)
    if number == errno.EADDRINUSE:
        return "the port is in use; choose another with --port"
    if number == errno.EACCES:
        return "permission denied"
    if number == errno.EADDRNOTAVAIL:
        return "this machine does not have that address"
    return getattr(exc, "strerror", None) or str(exc)


def _join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(config: ServerConfig) -> str:
    """Return the address as a URL, `http://127.0.0.1:8000`, or as `unix:/path`."""
    if config.uds is not None:
        return f"unix:{config.uds}"
    return f"http{'s' if config.ssl_certificate else ''}://{_join_address(config.host, config.port)}"
