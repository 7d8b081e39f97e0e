"""Sentry's own SDK on real servers, with a receiver of ours: the recipe of the documentation."""

import gzip
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2 as httpx
import pytest

from tests.cli.processes import ROOT
from tests.servers import SERVERS, ServerName, serve

pytestmark = pytest.mark.server


@contextmanager
def sink() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run a receiver of Sentry's envelopes; yield its DSN and the error events that came."""
    events: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("content-length")
            body = self.rfile.read(int(length)) if length is not None else b""
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            lines = body.split(b"\n")
            for header, payload in zip(lines[1::2], lines[2::2], strict=False):
                if header and json.loads(header).get("type") == "event":
                    events.append(json.loads(payload))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://key@127.0.0.1:{server.server_port}/1", events
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("server", SERVERS)
def test_sentry_is_told_of_an_exception_once(server: ServerName) -> None:
    page = (ROOT / "docs/production/errors.md").read_text()
    # The last block is for those who have another tracker.
    source = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[:-1])
    with sink() as (dsn, events):
        with serve(source, server, env={"SENTRY_DSN": dsn}) as running:
            assert httpx.get(f"{running.url}/orders/3", timeout=20).status_code == 200
            answer = httpx.get(f"{running.url}/orders/1?q=1", headers={"x-request-id": "abc"}, timeout=20)
            assert (answer.status_code, answer.headers["x-request-id"]) == (500, "abc")
            deadline = time.monotonic() + 10
            while not events and time.monotonic() < deadline:
                time.sleep(0.02)
    (event,) = events
    assert [value["type"] for value in event["exception"]["values"]] == ["ZeroDivisionError"]
    assert event["transaction"] == "/orders/{order_id}"
    assert event["request"]["url"] == f"{running.url}/orders/1"
    assert event["request"]["query_string"] == "q=1"
    assert event["tags"]["request_id"] == "abc"
    assert event["user"]["username"] == "ann"
