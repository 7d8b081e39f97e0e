"""Two workers, scraped by a real Prometheus: numbers are the sum of both."""

import httpx2 as httpx
import pytest

from tests.effort import variants
from tests.servers import ServerName, serve
from tests.services.prometheus import prometheus

pytestmark = pytest.mark.server

APP = """
import os
from velithon import Velithon
from velithon.metrics import Metrics

app = Velithon()
Metrics(interval=0.1).install(app)

@app.get("/items/{item_id}")
async def item(item_id: int):
    return os.getpid()
"""


@pytest.mark.parametrize("server", variants(["granian-rsgi"], ["granian-rsgi", "uvicorn"]))
def test_prometheus_sees_all_workers(server: ServerName) -> None:
    with (
        serve(APP, server, "--workers", "2") as running,
        prometheus(f"127.0.0.1:{running.port}") as watching,
    ):
        pids: set[int] = set()
        sent = 0
        # Each request has a connection of its own, which the kernel gives to one worker or the other.
        while len(pids) < 2 or sent % 10:
            pids.add(httpx.get(f"{running.url}/items/{sent}", timeout=20).json())
            sent += 1
            assert sent < 1000, "one worker got everything"
        labels = 'method="GET",route="/items/{item_id}"'
        watching.until(f'http_requests_total{{{labels},status="200"}}', sent)
        watching.until(f"http_request_duration_seconds_count{{{labels}}}", sent)
        watching.until("http_requests_in_flight", 0)
        watching.until("sum(up)", 1)
