"""A receiver of what Sentry's SDK sends."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.services.http import posted_to


@contextmanager
def sentry() -> Generator[tuple[str, list[dict[str, Any]]], None, None]:
    """Run a receiver of Sentry's envelopes; yield its DSN and the error events that came."""
    events: list[dict[str, Any]] = []

    def take(path: str, body: bytes) -> bytes:
        lines = body.split(b"\n")
        for header, payload in zip(lines[1::2], lines[2::2], strict=False):
            if header and json.loads(header).get("type") == "event":
                events.append(json.loads(payload))
        return b"{}"

    with posted_to(take) as port:
        yield f"http://key@127.0.0.1:{port}/1", events
