"""`python -m benchmarks.saving`: seconds from saving a file to the first new answer of a development server.

`velithon dev` on both servers beside `fastapi dev`, in turns, for an application whose module takes half a second to
import. A client asks every 10 ms over a new connection.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.envs import python_of
from benchmarks.servers import ROOT, unused_port

_SOURCE = """
import time
from {module} import {name}

time.sleep({imported})
app = {name}()

@app.get("/")
async def read() -> int:
    return {number}
"""
_DEADLINE = 60.0
_POLL = 0.01
# Name -> environment, class, and how it is started.
PEERS = {
    "velithon dev, Granian": ("velithon", "Velithon", ("-m", "velithon", "dev", "main.py:app")),
    "velithon dev, Uvicorn": ("velithon", "Velithon", ("-m", "velithon", "dev", "main.py:app", "--server", "uvicorn")),
    "fastapi dev": ("fastapi-dev", "FastAPI", ("-m", "fastapi", "dev", "main.py")),
}


def answer(port: int) -> str | None:
    """Return what a server answers, or nothing while none does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def seconds_until(port: int, expected: str, process: subprocess.Popen[bytes]) -> float:
    """Return how long a server takes to answer what is expected.

    Raises:
        RuntimeError: It ended, or does not within a minute.
    """
    began = time.perf_counter()
    while answer(port) != expected:
        if process.poll() is not None or time.perf_counter() - began > _DEADLINE:
            raise RuntimeError(f"no server answered {expected} on port {port}")
        time.sleep(_POLL)
    return time.perf_counter() - began


@contextmanager
def served(peer: str, directory: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a development server of a directory; yields its port and process."""
    environment, _, arguments = PEERS[peer]
    port = unused_port()
    process = subprocess.Popen(
        [python_of(environment), *arguments, "--port", str(port)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield port, process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def measure(peer: str, saves: int, imported: float, pause: float) -> list[float]:
    """Return the seconds of each save.

    Args:
        peer: Of `PEERS`.
        saves: How often the file is written.
        imported: Seconds that the import of the application's module takes, without the framework.
        pause: Seconds between an answer and the next save.
    """
    environment, name, _ = PEERS[peer]
    module = environment.partition("-")[0]
    with tempfile.TemporaryDirectory() as folder:
        main = Path(folder, "main.py")

        def save(number: int) -> None:
            main.write_text(_SOURCE.format(module=module, name=name, imported=imported, number=number))

        save(0)
        found = []
        with served(peer, Path(folder)) as (port, process):
            seconds_until(port, "0", process)
            for number in range(1, saves + 1):
                time.sleep(pause)
                save(number)
                found.append(seconds_until(port, str(number), process))
        return found


def main() -> None:
    """Measure in rounds, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--saves", type=int, default=5, help="saves in each round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--imported", type=float, default=0.5, help="seconds that the application takes to import")
    parser.add_argument("--pause", type=float, default=5, help="seconds between an answer and the next save")
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="only these")
    options = parser.parse_args()
    peers = options.peer or list(PEERS)
    found: dict[str, list[float]] = {peer: [] for peer in peers}
    loads = []
    for _ in range(options.rounds):
        for peer in peers:
            loads.append(os.getloadavg()[0])
            found[peer] += measure(peer, options.saves, options.imported, options.pause)
    print("| | median, s | least | most |\n|---|---|---|---|")
    for peer, seconds in found.items():
        print(f"| {peer} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |")
    print(f"\nLoad of the machine: {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} processors.")


if __name__ == "__main__":
    main()
