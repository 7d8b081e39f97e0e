"""Sentry's own SDK on real servers, with a receiver of ours: the recipe of the documentation."""

import re
import time

import httpx2 as httpx
import pytest

from tests.cli.processes import ROOT
from tests.servers import SERVERS, ServerName, serve
from tests.services.sentry import sentry

pytestmark = pytest.mark.server


@pytest.mark.parametrize("server", SERVERS)
def test_sentry_is_told_of_an_exception_once(server: ServerName) -> None:
    page = (ROOT / "docs/production/errors.md").read_text()
    # The last block is for those who have another tracker.
    source = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[:-1])
    with sentry() as (dsn, events):
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
