"""The socket below a streamed response, where RSGI's own transport neither waits nor breaks off.

Granian (2.8) keeps what `send_bytes` is given in a queue without a bound, sends it as fast as the client reads, and
ends the body as a complete one whatever happened. Its connections are sockets of this very process, though, and a
connection is known by its two addresses. So a stream that has handed over a mebibyte asks the kernel how much of it was
taken and sent, and waits for the rest; and a stream that fails shuts its connection, which the client sees.

The kernel tells this on Linux. Elsewhere, and on UNIX sockets, whose clients have no address, streams do not wait.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import TYPE_CHECKING

from velithon_adapters.scope import parse_address, peer_of

if TYPE_CHECKING:
    from velithon_adapters.rsgi import HTTPProtocol, Scope

__all__ = ["SEND_AHEAD", "Outgoing"]

SEND_AHEAD = 1024 * 1024
"""Bytes that a stream hands over before it asks whether they were sent."""

_DESCRIPTORS = "/proc/self/fd"
# linux/sockios.h: bytes that are not acknowledged, and those of them that were not sent once.
_SIOCOUTQ = 0x5411
_SIOCOUTQNSD = 0x894B
# linux/tcp.h, `struct tcp_info`: a 64-bit number of bytes that were acknowledged.
_TCP_INFO_SIZE = 128
_BYTES_ACKED = 120

# Seconds. A stream that fails gives the server time to send what it was handed before the connection is shut.
_HAND_OVER = 0.02
_LAST_BYTES = 1.0
# A stream that waits for its client asks again after a quarter of the time that it has waited, within these bounds.
_SHORTEST = 0.001
_LONGEST = 0.25


class Outgoing:
    """What is on its way to the client of one request.

    Args:
        scope: The request's scope.
        protocol: The server's protocol object.
    """

    __slots__ = ("_base", "_client", "_descriptor", "_handed", "_inode", "_port", "_protocol", "_shared")

    def __init__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        self._client = peer_of(scope)
        self._port = (parse_address(scope.server) or ("", 0))[1]
        self._shared = scope.http_version == "2"
        self._protocol = protocol
        self._descriptor = -1
        self._inode = -1
        self._handed = 0
        self._base: int | None = None

    async def drain(self, handed: int = 0, limit: float | None = None) -> None:
        """Wait until the client has been sent what the server was given, or has left.

        Args:
            handed: How many bytes were given since the last call.
            limit: Seconds after which to give up.
        """
        self._handed += handed
        loop = asyncio.get_running_loop()
        start = loop.time()
        while self._is_behind():
            waited = loop.time() - start
            if limit is not None and waited > limit:
                return
            # Asked anew each time: of several that wait for it, the server tells one.
            gone = asyncio.ensure_future(self._protocol.client_disconnect())
            try:
                done, _ = await asyncio.wait((gone,), timeout=min(max(waited / 4, _SHORTEST), _LONGEST))
            finally:
                gone.cancel()
            if done:
                return

    def _is_behind(self) -> bool:
        """Tell whether there is anything left to send; not where nothing is known."""
        if not self._find_connection():
            return False
        try:
            unsent, taken = _read_counters(self._descriptor)
        except OSError:
            return False
        if unsent:
            return True
        if self._base is None:
            self._base = taken - self._handed
        # The server itself may not have come to it. What it adds to a body makes this a little less than is left.
        return self._handed - (taken - self._base) > SEND_AHEAD

    async def abort(self) -> None:
        """Shut the connection, so that the client sees that the response is not complete.

        A connection of HTTP/2 carries other requests, too, and is left alone.
        """
        if self._shared:
            return
        await asyncio.sleep(_HAND_OVER)
        await self.drain(limit=_LAST_BYTES)
        if not self._find_connection():
            return
        try:
            # A copy of the descriptor: the server may close its own at any time, and the number be another's.
            copy = socket.socket(fileno=os.dup(self._descriptor))
        except OSError:
            return
        with copy:
            if _read_inode(copy.fileno()) == self._inode:
                try:
                    copy.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return

    def _find_connection(self) -> bool:
        """Find the connection's descriptor, or see that it is the same still."""
        if self._descriptor >= 0 and _read_inode(self._descriptor) == self._inode:
            return True
        self._descriptor = -1
        address = parse_address(self._client)
        if address is None or self._inode == 0 or sys.platform != "linux":
            return False
        self._descriptor = _find_descriptor(address, self._port)
        # Where there is none now there will be none later.
        self._inode = _read_inode(self._descriptor) if self._descriptor >= 0 else 0
        return self._inode > 0


def _read_counters(descriptor: int) -> tuple[int, int]:
    """Return how many bytes the kernel has not sent yet, and how many it ever took from the server.

    Raises:
        OSError: It is no TCP connection any more.
    """
    import fcntl

    opened = socket.socket(fileno=descriptor)
    try:
        info = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
        unsent, queued = (
            int.from_bytes(fcntl.ioctl(opened, request, bytes(4)), sys.byteorder)
            for request in (_SIOCOUTQNSD, _SIOCOUTQ)
        )
    finally:
        opened.detach()
    return unsent, queued + int.from_bytes(info[_BYTES_ACKED:_TCP_INFO_SIZE], sys.byteorder)


def _read_inode(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return -1


def _find_descriptor(client: tuple[str, int], port: int) -> int:
    """Return the descriptor of this process whose socket leads from a port of ours to a client; -1 for none."""
    try:
        names = os.listdir(_DESCRIPTORS)
    except OSError:
        return -1
    for name in reversed(names):
        try:
            opened = socket.socket(fileno=int(name))
        except OSError:
            continue
        try:
            if opened.family in (socket.AF_INET, socket.AF_INET6):
                found = opened.getpeername()
                if found[1] == client[1] and found[0] == client[0] and opened.getsockname()[1] == port:
                    return int(name)
        except OSError:
            continue
        finally:
            opened.detach()
    return -1
