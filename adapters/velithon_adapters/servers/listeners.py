"""Ending to accept connections, without losing one that the kernel has taken already.

For a client a connection stands as soon as the kernel has taken it: it sends its request, and a proxy may not repeat
that when the connection is reset. A listening socket that is closed resets all that wait in it. So where nobody else
accepts from the socket, the kernel takes no more first, then all that wait are accepted, then the socket is closed.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable

__all__ = ["close_listeners", "refuse_connections", "until_read"]

_DESCRIPTORS = "/proc/self/fd"
# Seconds for handshakes that are on their way, within a data centre.
_ROUND_TRIP = 0.01
_PERIOD = 0.005

# asm-generic/socket.h; Python's module does not name it
_SO_ATTACH_FILTER = 26
# Of the packets for a listening socket this drops those that ask for a new connection (RFC 9293, section 3.1: of the
# bits in the fourteenth byte SYN is set and ACK is not). Each is an instruction of Linux's classic BPF.
_DROP_SYN = (
    (0x30, 0, 0, 13),  # load that byte
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # is it SYN alone?
    (0x06, 0, 0, 0),  # then drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else keep all of it
)

# struct tcp_info of linux/tcp.h: where the number of bytes that were received is
_BYTES_RECEIVED = 128


async def refuse_connections(listeners: Iterable[int]) -> None:
    """Let the kernel take no new connection for some sockets.

    Those that it is taking are waited for. A client that comes after asks again after a second, and is refused if the
    socket is closed by then. On other systems than Linux, and for UNIX sockets, nothing changes.

    Args:
        listeners: Descriptors of listening sockets, from which nobody goes on to accept.
    """
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_SYN)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HL", len(_DROP_SYN), ctypes.addressof(buffer))

    def drop(sock: socket.socket) -> bool:
        if sys.platform != "linux" or sock.family == socket.AF_UNIX:
            return False
        # Where it is not permitted, the moment until the socket is closed may lose a connection.
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        return True

    if _which(listeners, drop):
        await asyncio.sleep(_ROUND_TRIP)


async def close_listeners(address: int | str, *, for_good: bool, patience: float) -> None:
    """Accept no more connections in this process.

    The server below goes on with the same descriptor, which from here on is that of a socket that nobody knows. On
    systems without `/proc` nothing changes.

    Args:
        address: The port, or the path of a UNIX socket.
        for_good: Whether nobody else accepts: those that wait are accepted here first. Otherwise they are left to the
            others, or to whoever comes next.
        patience: Seconds for accepting those that wait.
    """
    listeners = _which(_descriptors(), lambda sock: _is_bound_to(sock, address) and _is_listening(sock))
    if not listeners:
        return
    if for_good:
        await refuse_connections(listeners)
        await _until(lambda: not _which(listeners, _is_readable), patience)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nobody.listen(1)
        nobody.setblocking(False)
        for descriptor in listeners:
            os.dup2(nobody.fileno(), descriptor, inheritable=False)


async def until_read(address: int | str, patience: float) -> None:
    """Wait until everybody who has connected has sent something, and all of that is read.

    Args:
        address: The port, or the path of a UNIX socket.
        patience: Seconds after which it is given up.
    """

    def is_behind(sock: socket.socket) -> bool:
        return _is_bound_to(sock, address) and (_has_sent_nothing(sock) or _is_readable(sock))

    await _until(lambda: not _which(_descriptors(), is_behind), patience)


async def _until(condition: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    # Polled: the descriptors are those of the server below.
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_PERIOD)


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_DESCRIPTORS)]
    except OSError:
        return []


def _which(descriptors: Iterable[int], condition: Callable[[socket.socket], bool]) -> list[int]:
    """Return those descriptors of sockets for which a condition holds."""
    found: list[int] = []
    for descriptor in descriptors:
        try:
            sock = socket.socket(fileno=descriptor)
        except OSError:  # it is no socket, or closed meanwhile
            continue
        try:
            if condition(sock):
                found.append(descriptor)
        except OSError:
            continue
        finally:
            sock.detach()  # its descriptor is the server's
    return found


def _is_bound_to(sock: socket.socket, address: int | str) -> bool:
    name = sock.getsockname()
    return (name if isinstance(name, str) else name[1]) == address


def _is_listening(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _is_readable(sock: socket.socket) -> bool:
    """Tell whether bytes, an end or, on a listening socket, a connection waits."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _has_sent_nothing(sock: socket.socket) -> bool:
    if sys.platform != "linux" or sock.family == socket.AF_UNIX or _is_listening(sock):
        return False
    facts = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
    return len(facts) == _BYTES_RECEIVED + 8 and not any(facts[_BYTES_RECEIVED:])
