"""Ending to accept connections in one process of several that share a listening socket."""

from __future__ import annotations

import os
import socket

__all__ = ["close_listeners"]

_DESCRIPTORS = "/proc/self/fd"


def close_listeners(address: int | str) -> None:
    """Accept no more connections in this process.

    Those that wait are left to the others, or to whoever comes next.

    The server below goes on with the same descriptor, which from here on is that of a socket that nobody knows. On
    systems without `/proc` nothing changes.

    Args:
        address: The port, or the path of a UNIX socket.
    """
    try:
        names = os.listdir(_DESCRIPTORS)
    except OSError:
        return
    found = [int(name) for name in names if _is_listening(int(name), address)]
    if not found:
        return
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nobody.listen(1)
        nobody.setblocking(False)
        for descriptor in found:
            os.dup2(nobody.fileno(), descriptor, inheritable=False)


def _is_listening(descriptor: int, address: int | str) -> bool:
    try:
        opened = socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        if not opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        name = opened.getsockname()
        return (name if isinstance(name, str) else name[1]) == address
    except OSError:
        return False
    finally:
        opened.detach()
