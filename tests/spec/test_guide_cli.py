"""Every command of the user guide starts a server that answers."""

import shlex
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import Server, serve
from tests.spec.documents import GUIDE

pytestmark = pytest.mark.server


def commands() -> list[str]:
    """Return the `velithon run` lines of the guide, continued lines joined, without comments."""
    lines: list[str] = []
    for block in GUIDE.blocks.values():
        if block.language == "bash":
            lines += block.code.replace("\\\n", " ").splitlines()
    return sorted({" ".join(line.split()) for line in lines if line.startswith("velithon run")})


def options(command: str) -> list[str]:
    """Return the options of a command, without those that a test chooses: the application and the address."""
    words = iter(shlex.split(command)[2:])
    kept = []
    for word in words:
        if word in ("--app", "--host", "--port"):
            next(words)
        else:
            kept.append(word)
    return kept


def test_help_names_every_option_of_the_guide() -> None:
    """`velithon run --help` shows each option that the guide uses."""
    env = {"COLUMNS": "200", "PATH": "/usr/bin:/bin"}
    shown = subprocess.run(
        [sys.executable, "-m", "velithon", "run", "--help"], capture_output=True, text=True, check=True, env=env
    ).stdout
    used = {word for command in commands() for word in shlex.split(command) if word.startswith("--")}
    assert {option for option in used if option not in shown} == set()


@pytest.mark.parametrize("command", [command for command in commands() if "--help" not in command])
def test_commands_start_servers(command: str, tmp_path: Path) -> None:
    """The command's server answers for the quick start's application."""
    (tmp_path / "main.py").write_text(GUIDE.blocks["Quick Start / Basic Application"].code)
    secure = "--ssl-certificate" in command
    if secure:
        make_certificate(tmp_path)
    with serve(
        "main:app", "granian-rsgi", *options(command), cwd=tmp_path, env={"PYTHONDONTWRITEBYTECODE": "1"}
    ) as server:
        if "--http 2" in command:
            assert speaks_http2(server)
        else:
            assert b'{"message":"Hello, World!"}' in get(server, secure)
    if "--log-file" in command:
        assert (tmp_path / "app.log").stat().st_size > 0


def get(server: Server, secure: bool) -> bytes:
    """Return the answer for `/`, with its head."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as plain:
        connection = plain
        if secure:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(plain)
        with connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return b"".join(iter(lambda: connection.recv(65536), b""))


def speaks_http2(server: Server) -> bool:
    """Return whether the server answers HTTP/2's preface with a frame of settings (RFC 9113, section 3.4)."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        return connection.recv(9)[3] == 4


def make_certificate(directory: Path) -> None:
    """Write cert.pem, and key.pem under the guide's password."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    command = (
        "req -x509 -newkey rsa:2048 -keyout key.pem -out cert.pem -days 2 -passout pass:mypassword -subj /CN=localhost"
    )
    subprocess.run([openssl, *command.split()], cwd=directory, check=True, capture_output=True)
