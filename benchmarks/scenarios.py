"""What is asked of everyone, and what everyone has to answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.apps import common, services

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
        answer: The body that is expected: bytes, what its JSON says, or what tells a right one. Unused for WebSockets.
        setup: Of the applications; see `benchmarks.apps`.
        method: The HTTP method.
        body: The request's.
        headers: The request's.
        answer_headers: Headers that the response must have, with names in lower case.
        connections: How many clients there are at once.
        kind: What makes the load.
        status: That is expected.
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
    kind: Literal["http", "h2", "echo", "broadcast", "events"] = "http"
    status: int = 200
    unit: str = "requests"

    def wrong(self, status: int, headers: Mapping[str, str], body: bytes) -> str | None:
        """Return what is wrong with an answer, or `None`."""
        if status != self.status:
            return f"status {status}: {body[:120]!r}"
        if callable(self.answer):
            if not self.answer(body):
                return f"another answer: {body[:120]!r}"
        elif isinstance(self.answer, bytes):
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


def _is_text(body: bytes) -> bool:
    return gzip.decompress(body) == common.TEXT.encode()


def _typed(count: int, place: str, number: int) -> Scenario:
    answer = {"route": number, "item_id": 7}
    path = f"/section{number}/items/7"
    return Scenario(f"routes-{count}-{place}", f"{place} of {count:,} routes", path, answer, f"routes-{count}")


def _is_row(row: Any) -> bool:
    return set(row) == {"id", "randomNumber"} and 1 <= row["id"] <= services.ROWS


def _one_row(body: bytes) -> bool:
    return _is_row(json.loads(body))


def _twenty_rows(body: bytes) -> bool:
    rows = json.loads(body)
    return len(rows) == 20 and all(map(_is_row, rows))


def _fortunes(body: bytes) -> bool:
    return body.count(b"<tr>") == 14 and b"&lt;script&gt;" in body and b"Additional fortune" in body


def _database(name: str, title: str, path: str, answer: Any) -> Scenario:
    return Scenario(name, title, path, answer, setup="services", connections=64)


_JSON = {"Content-Type": "application/json"}
_LARGE = [{"name": f"apple {number}", "price": number + 0.5, "tags": ["red", "sweet"]} for number in range(17_500)]
_FORM = "&".join(f"f{number}=value+{number}" for number in range(20)).encode()
_COOKIES = "; ".join(f"p{number}=value{number}" for number in range(10))
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
    Scenario("struct", "Struct in and out", "/struct", json.loads(_BODY), method="POST", body=_BODY, headers=_JSON),
    Scenario(
        "cookies", "cookie of ten parts", "/cookies", {"p0": "value0", "p9": "value9"}, headers={"Cookie": _COOKIES}
    ),
    Scenario(
        "form",
        "form of twenty fields",
        "/form",
        {"f0": "value 0", "f19": "value 19"},
        method="POST",
        body=_FORM,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    ),
    Scenario(
        "large",
        "JSON of 1 MiB in and out",
        "/large",
        _LARGE,
        method="POST",
        body=json.dumps(_LARGE, separators=(",", ":")).encode(),
        headers=_JSON,
        connections=8,
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
    Scenario(
        "range",
        "10 KiB of a static file, by a range",
        "/static/50k.txt",
        common.file().read_bytes()[slice(*common.RANGE)],
        status=206,
        headers={"Range": f"bytes={common.RANGE[0]}-{common.RANGE[1] - 1}"},
    ),
    Scenario(
        "gzip",
        "text of 10 KiB, compressed",
        "/text",
        _is_text,
        setup="gzip",
        headers={"Accept-Encoding": "gzip"},
        answer_headers={"content-encoding": "gzip"},
    ),
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
    Scenario(
        "ws-broadcast-1000",
        "WebSocket broadcast to 1,000",
        "/room",
        kind="broadcast",
        connections=1000,
        unit="deliveries",
    ),
    Scenario(
        "events-1000",
        "server-sent events to 1,000",
        "/events",
        kind="events",
        connections=1000,
        unit="deliveries",
    ),
    Scenario("tls", "JSON over TLS", "/json", common.HELLO, setup="tls", connections=64),
    Scenario("h2", "JSON over HTTP/2 and TLS", "/json", common.HELLO, setup="tls", kind="h2", connections=64),
    Scenario("plaintext", "plain text", "/plaintext", services.PLAINTEXT.encode()),
    _database("db", "one query", "/db", _one_row),
    _database("queries", "twenty queries", "/queries?n=20", _twenty_rows),
    _database("updates", "twenty updates", "/updates?n=20", _twenty_rows),
    _database("fortunes", "fortunes", "/fortunes", _fortunes),
    _database("orm", "one query with SQLAlchemy", "/orm", _one_row),
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
