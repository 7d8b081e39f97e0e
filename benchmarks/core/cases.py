"""What is measured: a request, the application that answers it, and who else answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from benchmarks.apps import common

BODY = b'{"name":"apple","price":1.5,"tags":["red","sweet"]}'

FORM = "&".join(f"f{number}=value+{number}" for number in range(20)).encode()
COOKIES = "; ".join(f"p{number}=value{number}" for number in range(10))


@dataclass(frozen=True)
class Case:
    """One request.

    Args:
        name: In the table.
        target: Path and query.
        answer: The JSON that is expected.
        setup: Of the applications; see `benchmarks.apps`.
        method: The HTTP method.
        body: The request's.
        headers: The request's, with names in lower case.
        status: That is expected.
        raw: Whether the application on bare RSGI answers it too; likewise `starlette`.
        waits: Whether the answer has to wait for the event loop, as one from a thread does.
        socket: Whether it is a message over a WebSocket instead.
    """

    name: str
    target: str
    answer: Any
    setup: str = "plain"
    method: str = "GET"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    raw: bool = True
    starlette: bool = True
    waits: bool = False
    socket: bool = False

    def check(self, status: int, body: bytes, who: str) -> None:
        """Compare an answer with the one that is expected.

        Raises:
            RuntimeError: It is another.
        """
        if status != self.status or (self.answer is not None and orjson.loads(body) != self.answer):
            raise RuntimeError(f"{who} answers {self.name!r} with {status} {body[:200]!r}")


_ORIGIN = {"origin": common.ORIGIN}
_LAST = {"route": 4999, "item_id": 7}

CASES = [
    Case("JSONResponse", "/json", common.HELLO),
    Case("dict", "/dict", common.HELLO, raw=False, starlette=False),
    Case("path + two query parameters", "/items/3?q=a&n=2", {"item_id": 3, "q": "a", "n": 2}),
    Case(
        "pydantic body in and out",
        "/model",
        orjson.loads(BODY),
        method="POST",
        body=BODY,
        headers={"content-type": "application/json", "content-length": str(len(BODY))},
    ),
    Case(
        "form of twenty fields",
        "/form",
        {"f0": "value 0", "f19": "value 19"},
        method="POST",
        body=FORM,
        headers={"content-type": "application/x-www-form-urlencoded", "content-length": str(len(FORM))},
        starlette=False,
    ),
    Case(
        "cookie of ten parts",
        "/cookies",
        {"p0": "value0", "p9": "value9"},
        headers={"cookie": COOKIES},
        starlette=False,
    ),
    Case("three dependencies, one a generator", "/deps?token=abc", {"user": "abc", "session": "memory"}),
    Case("container: singleton", "/singleton", {"factor": 2}),
    Case("container: chain of factories", "/container", {"total": 4}),
    Case("CORS + http function", "/json", common.HELLO, setup="cors", headers=_ORIGIN),
    Case("CORS + http function + logging", "/json", common.HELLO, setup="layers", headers=_ORIGIN),
    Case("one typed route", "/section0/items/7", {"route": 0, "item_id": 7}, setup="routes-1"),
    Case("first of 5,000 routes", "/section0/items/7", {"route": 0, "item_id": 7}, setup="routes-5000"),
    Case("last of 5,000 routes", "/section4999/items/7", _LAST, setup="routes-5000"),
    Case("a miss among 5,000 routes", "/nowhere/items/7", None, setup="routes-5000", status=404),
    Case("stream of 100 chunks", "/stream", None, waits=True),
    Case("sync endpoint", "/sync", common.HELLO, waits=True),
    Case("WebSocket echo", "/ws", None, socket=True),
]


def makers() -> dict[str, Callable[[str], Any]]:
    """Return the applications that are called: `make(setup)` by name."""
    from benchmarks.apps import raw_rsgi, starlette_app, velithon_app

    return {"raw": raw_rsgi.make, "velithon": velithon_app.make, "starlette": starlette_app.make}
