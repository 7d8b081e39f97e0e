"""Long loads: memory that must not grow, slow clients, and signals while many requests are in hand."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.conformance import CLOSE, TEXT, frame
from tests.faults.hostile import settled
from tests.faults.wire import exchange
from tests.servers import Server, ServerName, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = b"x" * 1024 * 1024
PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + MEBIBYTE + b"\r\n--b--\r\n"
UPLOAD = (
    f"POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    f"content-length: {len(PART)}\r\nconnection: close\r\n\r\n"
).encode() + PART
HANDSHAKE = (
    b"GET /ws/echo HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def memory(pid: int) -> int:
    """Return a process's resident memory in KiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


def wrk(port: int, seconds: int, connections: int = 32, path: str = "/items/1?q=a") -> str:
    """Load a server, and return what wrk says."""
    command = shutil.which("wrk")
    if command is None:
        raise RuntimeError("wrk is not installed: apt-get install wrk")
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}{path}"]
    return subprocess.run([command, *options], capture_output=True, check=True, text=True).stdout


def send_requests(port: int, count: int) -> None:
    """Send at least so many requests."""
    while count > 0:
        said = wrk(port, 5)
        assert "Non-2xx" not in said, said
        found = re.search(r"(\d+) requests in", said)
        assert found, said
        count -= int(found[1])


def send_uploads(port: int, count: int) -> None:
    """Send so many files of 1 MiB."""
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: exchange(port, UPLOAD, "POST", deadline=30).status, range(count))
        assert Counter(answers) == {200: count}


def open_websockets(port: int, count: int) -> None:
    """Open so many WebSockets, send one message on each, and close them."""

    def session(number: int) -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(HANDSHAKE)
            seen = b""
            while b"\r\n\r\n" not in seen:
                seen += connection.recv(4096)
            connection.sendall(frame(TEXT, b"hello"))
            while b"hello" not in seen:
                seen += connection.recv(4096)
            connection.sendall(frame(CLOSE, b"\x03\xe8"))
            while chunk := connection.recv(4096):
                seen += chunk
            return seen.endswith(b"\x88\x02\x03\xe8")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(session, range(count)))


LOADS: dict[str, tuple[Callable[[int, int], None], int]] = {
    "requests": (send_requests, 1_000_000),
    "uploads of 1 MiB": (send_uploads, 10_000),
    "WebSockets": (open_websockets, 50_000),
}
"""What is sent, by what, and how often in the whole form."""


def growth(server: Server, load: Callable[[int, int], None], count: int) -> tuple[int, int, float]:
    """Load a server's worker, and look at its memory.

    Returns:
        Its resident memory in KiB after a warm-up of a fifth and at the end, and the seconds that it took.
    """
    worker, begun = settled(server.port)["pid"], time.monotonic()
    load(server.port, count // 5)
    settled(server.port)
    before = memory(worker)
    load(server.port, count - count // 5)
    settled(server.port)
    return before, memory(worker), time.monotonic() - begun


def p99(said: str) -> float:
    """Return the 99th percentile of what wrk says, in milliseconds."""
    found = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert found, said
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


@contextmanager
def tricklers(port: int, count: int) -> Iterator[None]:
    """Hold connections that send a byte of a request's head or body now and then."""
    head = (
        b"POST /items HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
    )
    connections = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(count)]
    stop = threading.Event()

    def trickle() -> None:
        for number, connection in enumerate(connections):
            connection.sendall(head if number % 2 else head[:40])
        while not stop.wait(0.1):
            for connection in connections:
                try:
                    connection.sendall(b"x")
                except OSError:
                    continue  # the server has had enough of it

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for connection in connections:
            connection.close()


def slow(server: Server, count: int, seconds: int = 8) -> tuple[float, float]:
    """Return the 99th percentile of other clients without tricklers and with them, in milliseconds, the best of two."""
    without = min(p99(wrk(server.port, seconds, 8)) for _ in range(2))
    with tricklers(server.port, count):
        time.sleep(1)
        return without, min(p99(wrk(server.port, seconds, 8)) for _ in range(2))


STOPPING = """
import asyncio
from contextlib import asynccontextmanager
from velithon import BackgroundTasks, Velithon

COUNTS = {"answered": 0, "background": 0}

@asynccontextmanager
async def lifespan(app):
    yield
    await asyncio.sleep(0.2)
    print(f"ended after {COUNTS['answered']} and {COUNTS['background']}", flush=True)

app = Velithon(lifespan=lifespan)

async def after():
    await asyncio.sleep(0.1)
    COUNTS["background"] += 1

@app.get("/work")
async def work(tasks: BackgroundTasks):
    await asyncio.sleep(0.5)
    COUNTS["answered"] += 1
    tasks.add_task(after)
    return "done"
"""


def stop_under_load(name: ServerName, number: signal.Signals, clients: int) -> list[str]:
    """Stop a server while clients wait for answers; return what was lost."""
    with serve(STOPPING, name) as server:
        request = b"GET /work HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        with ThreadPoolExecutor(clients) as pool:
            answers = [pool.submit(exchange, server.port, request, "GET", 10) for _ in range(clients)]
            time.sleep(0.3)  # all are in hand, and none is answered before half a second
            server.process.send_signal(number)
            statuses = Counter(answer.result().status for answer in answers)
        status = server.process.wait(20)
        problems = []
        if statuses != {200: clients}:
            problems.append(f"answered {dict(statuses)}")
        if f"ended after {clients} and {clients}" not in server.log:
            problems.append(f"the lifespan {re.findall('ended after.*', server.log) or 'did not end'}")
        if status not in (0, -number, 128 + number):
            problems.append(f"exit status {status}")
        return problems
