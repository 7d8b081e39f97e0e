"""nginx in front of the tests' own servers, with the configuration that `deploy/` has."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.processes import listening
from tests.servers import free_port

_DEADLINE = 10.0
_CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx/velithon.conf"


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx.

    Attributes:
        url: Where it answers over TLS.
        plain_url: Where it redirects from.
        certificate: Its certificate, for clients to trust.
        static: The directory of static files.
        log_file: Its error log.
    """

    url: str
    plain_url: str
    certificate: Path
    static: Path
    log_file: Path


def make_certificate(directory: Path) -> Path:
    """Make `tls.crt` and `tls.key` for localhost; return the first."""
    certificate = directory / "tls.crt"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run(
        [*command.split(), "-keyout", str(directory / "tls.key"), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return certificate


@contextmanager
def nginx(ports: Sequence[int]) -> Generator[Nginx, None, None]:
    """Run nginx in front of the servers on some ports of 127.0.0.1; skip where it is not installed.

    Args:
        ports: Where the application's instances listen.

    Yields:
        The running nginx.
    """
    for command in ("nginx", "openssl"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed: apt-get install {command}")
    with tempfile.TemporaryDirectory(prefix="velithon-nginx-") as name, free_port() as plain, free_port() as tls:
        directory = Path(name)
        static = directory / "static"
        static.mkdir()
        certificate = make_certificate(directory)
        upstream = "\n".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)
        text = _CONFIGURATION.read_text()
        for found, instead in (
            ("server app:8000 max_fails=0;", upstream),
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("listen 443 ssl http2;", f"listen 127.0.0.1:{tls} ssl http2;"),
            ("/etc/nginx/tls/", f"{directory}/"),
            ("/srv/static/", f"{static}/"),
        ):
            assert found in text, f"{_CONFIGURATION} has no {found!r}"
            text = text.replace(found, instead)
        (directory / "velithon.conf").write_text(text)
        (directory / "nginx.conf").write_text(
            f"""
            daemon off;
            worker_processes 1;
            pid {directory}/nginx.pid;
            error_log {directory}/error.log warn;
            events {{ worker_connections 1024; }}
            http {{
                access_log off;
                client_body_temp_path {directory}/body;
                proxy_temp_path {directory}/proxy;
                fastcgi_temp_path {directory}/fastcgi;
                uwsgi_temp_path {directory}/uwsgi;
                scgi_temp_path {directory}/scgi;
                include {directory}/velithon.conf;
            }}
            """
        )
        directory.chmod(0o755)  # its workers are another user where the tests are root
        log_file = directory / "error.log"
        process = subprocess.Popen(
            ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", str(log_file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(process, tls, log_file)
            yield Nginx(f"https://localhost:{tls}", f"http://localhost:{plain}", certificate, static, log_file)
        finally:
            process.terminate()
            process.wait(_DEADLINE)


def _wait(process: "subprocess.Popen[bytes]", port: int, log_file: Path) -> None:
    deadline = time.monotonic() + _DEADLINE
    while True:
        try:
            listening(port)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                log = log_file.read_text() if log_file.exists() else ""
                raise RuntimeError(f"nginx did not start:\n{log}") from None
            time.sleep(0.02)
        else:
            return
