"""What is asked of everyone, and what everyone has to answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.apps import common

__all__ = ["SCENARIOS", "Scenario", "select"]

_BODY = b'{"name":"apple","price":1.5,"tags":["red","sweet"]}'
_BOUNDARY = "----velithon-benchmark"
_UPLOAD_SIZE = 1024 * 1024
_UPLOAD = (
    (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="upload.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    + b"u" * _UPLOAD_SIZE
    + f"\r\n--{_BOUNDARY}--\r\n".encode()
)


@dataclass(frozen=True)
class Scenario:
    """One kind of request.

    Args:
        name: On the command line and in the tables.
        title: What it is.
        path: Path and query.
        answer: The body that is expected: bytes, or what its JSON says. Unused for WebSockets.
        setup: Of the applications; see `benchmarks.apps`.
        method: The HTTP method.
        body: The request's.
        headers: The request's.
        answer_headers: Headers that the response must have, with names in lower case.
        connections: How many clients there are at once.
        kind: What makes the load.
        unit: What is counted.
    """

    name: str
    title: str
    path: str
    answer: Any = None
    setup: str = "plain"
    method: str = "GET"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    connections: int = 256
    kind: Literal["http", "echo", "broadcast"] = "http"
    unit: str = "requests"

    def wrong(self, status: int, headers: Mapping[str, str], body: bytes) -> str | None:
        """Return what is wrong with an answer, or `None`."""
        if status != 200:
            return f"status {status}: {body[:120]!r}"
        if isinstance(self.answer, bytes):
            if body != self.answer:
                return f"another body of {len(body)} bytes: {body[:60]!r}"
        else:
            try:
                found = json.loads(body)
            except ValueError:
                return f"no JSON: {body[:120]!r}"
            if found != self.answer:
                return f"another answer: {body[:120]!r}"
        for name, value in self.answer_headers.items():
            if headers.get(name) != value:
                return f"header {name} is {headers.get(name)!r}, not {value!r}"
        return None


def _typed(count: int, place: str, number: int) -> Scenario:
    answer = {"route": number, "item_id": 7}
    path = f"/section{number}/items/7"
    return Scenario(f"routes-{count}-{place}", f"{place} of {count:,} routes", path, answer, f"routes-{count}")


SCENARIOS = (
    Scenario("json", "JSON", "/json", common.HELLO),
    Scenario("params", "path and two query parameters", "/items/3?q=a&n=2", {"item_id": 3, "q": "a", "n": 2}),
    Scenario(
        "model",
        "pydantic body in and out",
        "/model",
        json.loads(_BODY),
        method="POST",
        body=_BODY,
        headers={"Content-Type": "application/json"},
    ),
    Scenario("deps", "three dependencies, one a generator", "/deps?token=abc", {"user": "abc", "session": "memory"}),
    Scenario("container", "container: a factory chain over a singleton", "/container", {"total": 4}),
    Scenario("sync", "sync endpoint", "/sync", common.HELLO),
    Scenario(
        "cors",
        "CORS and http middleware",
        "/json",
        common.HELLO,
        setup="cors",
        headers={"Origin": common.ORIGIN},
        answer_headers={"access-control-allow-origin": common.ORIGIN, "x-layer": "1"},
    ),
    Scenario(
        "layers",
        "CORS, http middleware and access log",
        "/json",
        common.HELLO,
        setup="layers",
        headers={"Origin": common.ORIGIN},
        answer_headers={"access-control-allow-origin": common.ORIGIN, "x-layer": "1"},
    ),
    _typed(500, "first", 0),
    _typed(500, "middle", 250),
    _typed(500, "last", 499),
    _typed(5000, "first", 0),
    _typed(5000, "middle", 2500),
    _typed(5000, "last", 4999),
    Scenario("text", "text of 10 KiB", "/text", common.TEXT.encode()),
    Scenario("file", "file of 50 KiB", "/file", common.file().read_bytes()),
    Scenario("stream", "stream of 100 chunks", "/stream", common.CHUNK * common.CHUNKS),
    Scenario(
        "upload",
        "multipart upload of 1 MiB",
        "/upload",
        {"size": _UPLOAD_SIZE},
        method="POST",
        body=_UPLOAD,
        headers={"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"},
        connections=16,
    ),
    Scenario("ws-echo", "WebSocket echo", "/ws", kind="echo", connections=64, unit="messages"),
    Scenario("ws-broadcast", "WebSocket broadcast to 64", "/room", kind="broadcast", connections=64, unit="deliveries"),
)


def select(names: str | None) -> list[Scenario]:
    """Return scenarios by their names, separated by commas; `routes-500` stands for all that begin so.

    Raises:
        ValueError: There is none of that name.
    """
    if names is None:
        return list(SCENARIOS)
    chosen: list[Scenario] = []
    for name in names.split(","):
        found = [item for item in SCENARIOS if item.name == name.strip() or item.name.startswith(f"{name.strip()}-")]
        if not found:
            raise ValueError(f"no scenario is named {name!r}; there are: {', '.join(item.name for item in SCENARIOS)}")
        chosen += [item for item in found if item not in chosen]
    return chosen
