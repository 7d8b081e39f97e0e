"""Servers under load: started on one core, watched through /proc, ended by their process group."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import Peer

__all__ = ["Server", "StartError", "connect", "serve", "unused_port"]

ROOT = Path(__file__).resolve().parent.parent
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_START_SECONDS = 180.0  # some register 5,000 routes slowly
_STOP_SECONDS = 10.0


class StartError(Exception):
    """A server did not start; the message has the end of its output."""


@dataclass
class Server:
    """A running server: the processes of one group."""

    peer: Peer
    port: int
    process: subprocess.Popen[bytes]

    def _stats(self) -> list[list[str]]:
        """Return the fields of /proc/<pid>/stat after the command's name, for each process of the group."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[2]) == self.process.pid:
                    found.append(fields)
        return found

    def processor_seconds(self) -> float:
        """Return the processor time, user and system, that all its processes have taken."""
        return sum(int(fields[11]) + int(fields[12]) for fields in self._stats()) * _TICK

    def resident_bytes(self) -> int:
        """Return the resident memory of its largest process, which is the worker."""
        return max((int(fields[21]) * _PAGE for fields in self._stats()), default=0)


def unused_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serve(
    peer: Peer, setup: str, core: int | None, *, workers: int = 1, database: str | None = None
) -> Generator[Server, None, None]:
    """Run a peer's application.

    Args:
        peer: Whose.
        setup: See `benchmarks.apps`.
        core: The only processor that it may use; any by default.
        workers: How many processes answer.
        database: The URL that the scenarios with a database use.

    Raises:
        StartError: It ended, or did not answer in time.
    """
    port = unused_port()
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    environment = {**os.environ, "BENCH_SETUP": setup, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    if database is not None:
        environment["BENCH_DATABASE"] = database
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as directory:
        certificate = make_certificate(Path(directory)) if setup == "tls" else None
        command = [*pinned, *peer.command(port, workers, certificate)]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            if not _answers(process, port, certificate is not None):
                log.seek(0)
                output = log.read().decode(errors="replace")[-1500:]
                raise StartError(f"{peer.name} did not start with the setup {setup!r}:\n{output}")
            yield Server(peer, port, process)
        finally:
            _end(process)


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost; return its file and that of its key.

    Raises:
        StartError: There is no openssl.
    """
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command = ["openssl", *kind.split(), "-out", str(certificate), "-keyout", str(key)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except OSError as exc:
        raise StartError("TLS needs openssl: apt-get install openssl") from exc
    return certificate, key


def connect(port: int, tls: bool, timeout: float) -> http.client.HTTPConnection:
    """Return a connection to a port of 127.0.0.1; whatever the server's certificate says is believed."""
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)


def _answers(process: subprocess.Popen[bytes], port: int, tls: bool) -> bool:
    """Wait for an answer: some take connections long before they are ready."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = connect(port, tls, deadline - time.monotonic())
        try:
            connection.request("GET", "/json")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
            continue
        finally:
            connection.close()
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    try:
        # Its own session: workers that outlived it are in its group.
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
