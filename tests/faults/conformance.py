"""Conformance to WebSockets and HTTP, as instruments of others and frames of our own measure it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests import tools
from tests.servers import Server

# What the suite calls a pass, and what it calls optional.
PASSES = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED")
# By server: cases that fail, with the cause.
KNOWN_FAILURES = {
    "uvicorn": {
        "7.1.5"
    },  # a close frame between two fragments: websockets closes with 1002, as under a bare application
}
# 9 measures speed, and what is left out of 12 and 13 repeats compression with other sizes.
EXCLUDED = ["9.*", "12.2.*", "12.3.*", "12.4.*", "12.5.*", *(f"13.{number}.*" for number in range(2, 8))]
SUITE = "autobahntestsuite==0.8.2"
ROOT = Path(__file__).resolve().parent.parent.parent


def find_python2() -> str | None:
    """Return a Python 2.7 that runs: the suite has none newer."""
    found = [shutil.which("python2.7"), *map(str, Path.home().glob(".pyenv/versions/2.7.*/bin/python2.7"))]
    for python in filter(None, found):
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return None


def run_autobahn(server: Server, name: str, python: str, directory: Path) -> dict[str, str]:
    """Run the Autobahn suite against `/ws/echo`.

    Returns:
        By case: `OK`, or what was wrong.

    Raises:
        subprocess.CalledProcessError: The suite could not be installed, or did not run.
    """
    environment = {**os.environ, "PYTHONUSERBASE": str(ROOT / ".cache" / "autobahn"), "PYTHONWARNINGS": "ignore"}
    installed = [python, "-c", "import autobahntestsuite"]
    if subprocess.run(installed, env=environment, capture_output=True, check=False).returncode:
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--user", SUITE],
            env=environment,
            check=True,
            stderr=subprocess.PIPE,
        )
    target = {"agent": name, "url": f"ws://127.0.0.1:{server.port}/ws/echo"}
    specification = {"outdir": str(directory), "servers": [target], "cases": ["*"], "exclude-cases": EXCLUDED}
    file = directory / "specification.json"
    file.write_text(json.dumps({**specification, "exclude-agent-cases": {}}))
    command = [python, "-m", "autobahntestsuite.wstest", "--mode", "fuzzingclient", "--spec", str(file)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    index = json.loads((directory / "index.json").read_text())[name]
    return {case: worse(result["behavior"], result["behaviorClose"]) for case, result in index.items()}


def worse(behaviour: str, closing: str) -> str:
    """Return the worse of two results."""
    return closing if closing not in PASSES else behaviour


@dataclass(frozen=True, slots=True)
class Talk:
    """Frames to an echo and what comes back.

    Attributes:
        name: What is tried.
        frames: What is sent after the handshake, masked with zeros.
        echoed: The frames that come back, in order.
        closes: Whether the connection must be ended by the server; without this it must go on.
    """

    name: str
    frames: bytes
    echoed: tuple[tuple[int, bytes], ...] = ()
    closes: bool = False


def frame(opcode: int, data: bytes, last: bool = True, bits: int = 0) -> bytes:
    """Return a client's frame (RFC 6455 section 5.2), masked with zeros."""
    size = len(data)
    short = bytes((size | 0x80,)) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes((opcode | (0x80 if last else 0) | bits,)) + short + b"\0\0\0\0" + data


TEXT, BINARY, CLOSE, PING, PONG, REST = 1, 2, 8, 9, 10, 0
TALKS = (
    Talk("text", frame(TEXT, b"a"), ((TEXT, b"a"),)),
    Talk("empty text", frame(TEXT, b""), ((TEXT, b""),)),
    Talk("bytes", frame(BINARY, b"\xff\x00"), ((BINARY, b"\xff\x00"),)),
    Talk("a long message", frame(BINARY, b"x" * 60_000), ((BINARY, b"x" * 60_000),)),
    Talk("fragments", frame(TEXT, b"a", last=False) + frame(REST, b"b"), ((TEXT, b"ab"),)),
    Talk(
        "a ping between fragments",
        frame(TEXT, b"a", last=False) + frame(PING, b"p") + frame(REST, b"b"),
        ((PONG, b"p"), (TEXT, b"ab")),
    ),
    Talk("a ping of 125 bytes", frame(PING, b"p" * 125), ((PONG, b"p" * 125),)),
    Talk("a pong that nobody asked for", frame(PONG, b"p") + frame(TEXT, b"a"), ((TEXT, b"a"),)),
    Talk(
        "UTF-8 that is cut by fragments",
        frame(TEXT, b"\xc3", last=False) + frame(REST, b"\xa4"),
        ((TEXT, b"\xc3\xa4"),),
    ),
    Talk("text that is no UTF-8", frame(TEXT, b"\xff"), closes=True),
    Talk("a surrogate", frame(TEXT, b"\xed\xa0\x80"), closes=True),
    Talk("a ping of 126 bytes", frame(PING, b"p" * 126), closes=True),
    Talk("a ping in fragments", frame(PING, b"p", last=False), closes=True),
    Talk("a reserved bit", frame(TEXT, b"a", bits=0x40), closes=True),
    Talk("a reserved opcode", frame(3, b"a"), closes=True),
    Talk("a rest without a beginning", frame(REST, b"a"), closes=True),
    Talk("a beginning within fragments", frame(TEXT, b"a", last=False) + frame(TEXT, b"b"), closes=True),
    Talk("a frame without a mask", b"\x81\x01a", closes=True),
    Talk("a close", frame(CLOSE, struct.pack(">H", 1000)), closes=True),
    Talk("a close with a reason", frame(CLOSE, struct.pack(">H", 3000) + b"why"), closes=True),
    Talk("a close without a code", frame(CLOSE, b""), closes=True),
    Talk("a close of one byte", frame(CLOSE, b"a"), closes=True),
    Talk("a close whose code is never sent", frame(CLOSE, struct.pack(">H", 1005)), closes=True),
    Talk("a close whose reason is no UTF-8", frame(CLOSE, struct.pack(">H", 1000) + b"\xff"), closes=True),
)


def talk(port: int, case: Talk) -> str | None:
    """Hold a conversation; return what was wrong with it."""
    handshake = (
        "GET /ws/echo HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, connection.makefile("rb") as reader:
        connection.sendall(handshake.encode())
        while reader.readline() not in (b"\r\n", b""):
            pass
        # What must go on has to answer once more.
        connection.sendall(case.frames + (b"" if case.closes else frame(TEXT, b"and on")))
        seen: list[tuple[int, bytes]] = []
        wanted = [*case.echoed, *([] if case.closes else [(TEXT, b"and on")])]
        try:
            while case.closes or len(seen) < len(wanted):
                head = reader.read(2)
                if len(head) < 2 or head[0] & 15 == CLOSE:
                    return None if case.closes and seen == wanted else f"closed after {seen}"
                size = head[1] & 127
                if size > 125:
                    size = int.from_bytes(reader.read(2 if size == 126 else 8))
                seen.append((head[0] & 15, reader.read(size)))
        except ConnectionResetError:
            return None if case.closes and seen == wanted else f"reset after {seen}"
        return None if seen == wanted else f"answered {str(seen)[:200]}"


# What the linter calls bad and is not: it knows no request, and multipart ranges have their Content-Range in the parts.
NOT_BAD = ("CORS headers are only allowed in preflight", "doesn't have a Content-Range header")
LINTED = (
    "GET /echo", "GET /items/1", "GET /items/x", "GET /nothing", "POST /echo", "HEAD /file", "GET /static/text.txt",
    "GET /download", "GET /redirect", "GET /status/204", "GET /status/304", "GET /error/404", "GET /many-headers",
    "GET /html", "GET /lines", "GET /events", "GET /site", "GET /docs", "GET /openapi.json", "PUT /items/1",
    "OPTIONS /echo",
    "GET /file\nrange: bytes=0-5", "GET /file\nrange: bytes=0-1,4-5", "GET /file\nrange: bytes=99999-",
    "GET /html\naccept-encoding: gzip", "GET /echo\norigin: https://good.example",
    "OPTIONS /echo\norigin: https://good.example\r\naccess-control-request-method: PUT",
)  # fmt: skip


def lint(port: int) -> list[str] | None:
    """Return what httplint calls bad in the application's answers; `None` where it is not installed."""
    command = tools.find("httplint")
    if command is None:
        return None
    found = []
    for line in LINTED:
        target, _, header = line.partition("\n")
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            headers = f"host: localhost\r\nconnection: close\r\n{header}" + ("\r\n" if header else "")
            connection.sendall(f"{target} HTTP/1.1\r\n{headers}\r\n".encode())
            answer = connection.makefile("rb").read()
        notes = subprocess.run([command, "--now"], input=answer, capture_output=True, check=True).stdout.decode()
        bad = [note for note in notes.splitlines() if note.startswith("* [BAD]")]
        found += [f"{line!r}: {note}" for note in bad if not any(text in note for text in NOT_BAD)]
    return found
