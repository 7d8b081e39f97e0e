"""A real server that is told to stop: not ready at once, and listening for as long as asked."""

import os
import signal
import time

import httpx2 as httpx
import pytest

from tests.servers import EVERY_SERVER, ServerName, serve
from tests.waiting import until

pytestmark = pytest.mark.server

APP = """
from velithon import Velithon
from velithon.health import Health

app = Velithon()
Health(shutdown_delay=1.0).install(app)

@app.get("/")
async def root():
    return "served"

@app.on_event("startup")
async def startup():
    print("startup ran", flush=True)

@app.on_event("shutdown")
async def shutdown():
    print("shutdown ran", flush=True)
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("server", EVERY_SERVER)
def test_an_instance_is_taken_out_before_it_stops(server: ServerName, workers: int) -> None:
    options = ["--workers", str(workers), "--access-log", "--workers-kill-timeout", "3"]
    with (
        # the supervising process learns from the application how long it goes on listening
        serve(APP, server, *options, env={"VELITHON_CHECK_IMPORT": "true"}) as running,
        httpx.Client(base_url=running.url, headers={"connection": "close"}, timeout=5) as http,
    ):
        until(lambda: running.log.count("startup ran") == workers, "every worker")
        assert http.get("/readyz").status_code == 200
        os.kill(running.process.pid, signal.SIGTERM)
        asked = time.monotonic()
        while (answer := http.get("/readyz")).status_code == 200:
            assert time.monotonic() < asked + 0.8, "still ready"
        assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})
        while time.monotonic() < asked + 0.7:
            assert http.get("/").json() == "served"
        assert running.process.wait(10) == 0
        assert time.monotonic() - asked >= 1.0
        assert running.log.count("shutdown ran") == workers
        assert "GET / HTTP" in running.log
        assert "readyz" not in running.log
