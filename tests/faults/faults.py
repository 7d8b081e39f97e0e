"""Every kind of exception in every hook: what the client is answered, and what is logged."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from tests.faults.raising import EXCEPTIONS, HOOKS
from tests.faults.wire import exchange
from tests.servers import EVERY_SERVER, Server, ServerName

# By hook and exception: what is answered and how many records there are.
Outcomes = dict[tuple[str, str], str]

_RECORD = re.compile(r"^\d{4}-\d\d-\d\dT\S+ (\w+) ", re.M)


def run(server: Server) -> Outcomes:
    """Raise every exception in every hook of the application of `tests.faults.raising`."""
    answers = {(hook, name): ask(server.port, hook, name) for hook in HOOKS for name in EXCEPTIONS}
    assert exchange(server.port, b"GET /alive HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").body == b"true"
    wait_for_silence(server)
    said = records(server.log)
    return {key: f"{answer}, {describe(said, *key)}" for key, answer in answers.items()}


def ask(port: int, hook: str, name: str) -> str:
    """Return in a few words what a client is answered."""
    target = quote(f"/{hook}/{name}")
    if hook.startswith("WebSocket"):
        return ask_websocket(port, target)
    answer = exchange(port, f"GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    if not answer.status:
        return "no answer"
    return str(answer.status) if answer.whole else f"{answer.status} and cut off"


def ask_websocket(port: int, target: str) -> str:
    """Return the status of a refused handshake, or the code of the close frame: 1005 for none, 1006 for no frame."""
    head = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    head += "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, connection.makefile("rb") as reader:
        connection.sendall(f"GET {target} HTTP/1.1\r\nhost: localhost\r\n{head}".encode())
        status = reader.readline().split(b" ")[1].decode()
        if status != "101":
            return status
        while reader.readline() not in (b"\r\n", b""):
            pass
        frame = reader.read(2)
        if len(frame) < 2:
            return "1006"
        code = reader.read(frame[1] & 127)[:2]
        return str(int.from_bytes(code)) if code else "1005"


def wait_for_silence(server: Server, deadline: float = 5) -> None:
    """Wait until the log grows no more."""
    end, size = time.monotonic() + deadline, -1
    while time.monotonic() < end and size != len(server.log):
        size = len(server.log)
        time.sleep(0.2)


def records(log: str) -> list[tuple[str, str]]:
    """Return the records of a log, with their tracebacks: the level and the whole text."""
    begins = [*_RECORD.finditer(log)]
    ends = [found.start() for found in begins[1:]] + [len(log)]
    return [(found[1], log[found.start() : end]) for found, end in zip(begins, ends, strict=True)]


def describe(said: Iterable[tuple[str, str]], hook: str, name: str) -> str:
    """Return how many records speak of an exception, by level."""
    text = f"raised {name} in {hook}."
    levels = [level for level, record in said if text in record]
    return " and ".join(f"{levels.count(level)} {level}" for level in sorted(set(levels))) or "no record"


def table(outcomes: Mapping[ServerName, Outcomes]) -> str:
    """Return the outcomes as a table of Markdown: a row for all exceptions that fare alike in a hook."""
    lines = ["| where | what | Granian, RSGI | Granian, ASGI | Uvicorn |", "|---|---|---|---|---|"]
    for hook in HOOKS:
        alike: dict[tuple[str, ...], list[str]] = {}
        for name in EXCEPTIONS:
            alike.setdefault(tuple(outcomes[server][hook, name] for server in EVERY_SERVER), []).append(name)
        most = max(alike, key=lambda found: len(alike[found]))
        for found, names in sorted(alike.items(), key=lambda pair: -len(pair[1])):
            what = (
                ", ".join(f"`{name}`" for name in names) if found != most else "any other" if len(alike) > 1 else "any"
            )
            cells = (
                ("|".join(f" {cell} " for cell in found))
                if len(set(found)) > 1
                else f" {found[0]} | the same | the same "
            )
            lines.append(f"| {hook} | {what} |{cells}|")
    return "\n".join(lines) + "\n"
