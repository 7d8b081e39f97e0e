"""Clients that leave in the middle, and what a server holds of them afterwards."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.hostile import settled, what_is_held
from tests.faults.wire import exchange
from tests.servers import Server

HEAD = "HTTP/1.1\r\nhost: localhost\r\n"
UPGRADE = (
    "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
# How many are connected at once.
BATCH = 50


def begin_upload(number: int) -> bytes:
    """Return the beginning of an upload with a length; each fourth is large enough for a file on the disk."""
    path = ("/upload", "/body", "/read", "/json")[number % 4]
    sent = FILE + b"x" * (3_000_000 if number % 16 == 0 else 5_000 * (number % 7))
    kind = "multipart/form-data; boundary=b" if path == "/upload" else "application/json"
    return f"POST {path} {HEAD}content-type: {kind}\r\ncontent-length: 6000000\r\n\r\n".encode() + sent


def begin_chunked(number: int) -> bytes:
    """Return the beginning of a chunked body, cut in a chunk, between two or before the last."""
    path = ("/upload", "/body", "/read", "/json")[number % 4]
    kind = "multipart/form-data; boundary=b" if path == "/upload" else "application/json"
    part = FILE + b"x\r\n--b--\r\n" if path == "/upload" else b"1"
    body = b"%x\r\n%s\r\n" % (len(part), part)
    cut = (body, body[: len(part) // 2], body + b"0\r\n", body * 3 + b"5\r\nab")[number // 4 % 4]
    return f"POST {path} {HEAD}content-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode() + cut


def get(path: str, rest: str = "\r\n") -> Callable[[int], bytes]:
    """Return what makes a request without a body."""
    return lambda number: f"GET {path} {HEAD}{rest}".encode()


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to leave.

    Attributes:
        name: What is left.
        begin: Makes the bytes that are sent before.
        answered: Whether something is read before.
    """

    name: str
    begin: Callable[[int], bytes]
    answered: bool = True


KINDS = (
    Kind("an upload with a length", begin_upload, answered=False),
    Kind("a chunked upload", begin_chunked, answered=False),
    Kind("a stream", get("/chunks")),
    Kind("a silent stream", get("/silent")),
    Kind("events", get("/events")),
    Kind("a WebSocket that listens", get("/ws", UPGRADE)),
    Kind("a WebSocket that talks", get("/ws/talking", UPGRADE)),
)


@dataclass(slots=True)
class Report:
    """What a run found.

    Attributes:
        clients: How many left.
        slowest: The longest that a batch's generators and sessions were open after it had left, in seconds.
        problems: What was wrong.
    """

    clients: int = 0
    slowest: float = 0
    problems: list[str] = field(default_factory=list)


def leave(connection: socket.socket, number: int) -> None:
    """Leave with a reset or without."""
    if number % 2:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def counts(port: int) -> dict[str, int]:
    """Return what the application counted."""
    found: dict[str, int] = json.loads(
        exchange(port, b"GET /counts HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").body
    )
    return {"opened": 0, "closed": 0, "whole": 0, **found}


def run_batch(port: int, kind: Kind, first: int, size: int) -> None:
    """Connect some clients, let all of them begin, and leave."""
    connections = []
    for number in range(first, first + size):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.sendall(kind.begin(number))
        connections.append(connection)
    if kind.answered:
        for connection in connections:
            seen = b""
            while len(seen.partition(b"\r\n\r\n")[2]) < (0 if b" 101 " in seen[:20] else 1) or b"\r\n\r\n" not in seen:
                seen += connection.recv(65536)
    for number, connection in enumerate(connections):
        leave(connection, number)


def run(server: Server, kind: Kind, count: int) -> Report:
    """Let clients of one kind leave, and say what is left of them.

    Args:
        server: Runs the application of `tests.faults.leaving` with one worker.
        kind: How they leave.
        count: How many.
    """
    report, port = Report(), server.port
    # What is made at the first use, such as the threads of a pool, is no leak.
    run_batch(port, kind, 0, min(BATCH, count))
    wait_for_close(port)
    before, counted = settled(port), counts(port)
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        run_batch(port, kind, first, size)
        begun = time.monotonic()
        wait_for_close(port)
        report.slowest = max(report.slowest, time.monotonic() - begun)
        report.clients += size
    more, now = held_too_long(port, before), counts(port)
    if now["whole"] != counted["whole"]:
        report.problems.append(f"{now['whole'] - counted['whole']} bodies were seen as complete")
    if kind.answered and not now["opened"] - counted["opened"] == now["closed"] - counted["closed"] == count:
        report.problems.append(f"{count} left, counted {counted} before and {now} after")
    if report.slowest > 1:
        report.problems.append(f"{report.slowest:.1f} s until all were closed")
    if more:
        report.problems.append(f"more is held than before: {more}")
    if "Traceback" in server.log:
        report.problems.append("a traceback is in the log")
    return report


def held_too_long(port: int, before: dict[str, int], deadline: float = 3) -> dict[str, tuple[int, int]]:
    """Return what a process still holds more of than before when the deadline is over: both numbers."""
    end = time.monotonic() + deadline
    while True:
        more = {name: (before[name], now) for name, now in what_is_held(port).items() if now > before[name]}
        if not more or time.monotonic() > end:
            return more
        time.sleep(0.02)


def wait_for_close(port: int, deadline: float = 10) -> None:
    """Wait until all that was opened is closed."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        now = counts(port)
        if now["opened"] == now["closed"]:
            return
        time.sleep(0.01)
