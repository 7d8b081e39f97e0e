"""The command line: options keep their names and what they take."""

import os
import re
import subprocess
import sys

import pytest

OPTIONS = {
    "--app": "main:app",
    "--host": "0.0.0.0",
    "--port": "8080",
    "--workers": "4",
    "--reload": None,
    "--log-level": "DEBUG",
    "--log-format": "json",
    "--log-to-file": None,
    "--log-file": "app.log",
    "--max-bytes": "10485760",
    "--backup-count": "7",
    "--ssl-certificate": "cert.pem",
    "--ssl-keyfile": "key.pem",
    "--ssl-keyfile-password": "secret",
    "--http": "2",
    "--http1-keep-alive": None,
    "--http1-header-read-timeout": "30000",
    "--http2-max-concurrent-streams": "100",
    "--http2-initial-connection-window-size": "1048576",
    "--runtime-threads": "4",
    "--runtime-mode": "mt",
    "--blocking-threads": "10",
    "--loop": "uvloop",
    "--backpressure": "1000",
}


def velithon(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    return subprocess.run([sys.executable, "-m", "velithon", *words], capture_output=True, text=True, timeout=60)


def test_help_names_every_option() -> None:
    """Each on a line of its own."""
    shown = velithon("run", "--help").stdout
    assert [option for option in OPTIONS if not re.search(rf"^[\s│|]+(-\w, )?{option}\b", shown, re.MULTILINE)] == []


def test_every_option_takes_its_kind_of_value() -> None:
    """All at once get as far as the application, which is not there."""
    certificates = {"--ssl-certificate", "--ssl-keyfile", "--ssl-keyfile-password"}  # files that a server opens first
    given = {option: value for option, value in OPTIONS.items() if option not in certificates}
    words = [word for option, value in given.items() for word in (option, value) if word is not None]
    ended = velithon("run", *words, "--app", "no_such_module_here:app", "--http", "auto", "--log-file", os.devnull)
    assert ended.returncode == 1
    assert "no_such_module_here" in ended.stderr


@pytest.mark.parametrize(("option", "value"), [("--port", "many"), ("--log-format", "xml"), ("--http", "3")])
def test_another_value_is_refused(option: str, value: str) -> None:
    """With the option's name."""
    ended = velithon("run", "main:app", option, value)
    assert ended.returncode == 2
    assert option in ended.stderr
