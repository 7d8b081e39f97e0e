"""How long each request took, by the endpoint's name, to a client such as StatsD's."""
# /// script
# dependencies = ["timing-asgi"]
# ///

import pytest
from fastapi import FastAPI
from timing_asgi import TimingClient, TimingMiddleware
from timing_asgi.integrations import StarletteScopeToName

from tests.ecosystem.plugin import Clients

timings = []


class Recorder(TimingClient):
    def timing(self, metric_name, timing, tags):
        timings.append((metric_name, timing, tags))


app = FastAPI()
app.add_middleware(
    TimingMiddleware, client=Recorder(), metric_namer=StarletteScopeToName(prefix="shop", starlette_app=app)
)


@app.get("/items/{item}")
async def read(item: int):
    return item


@app.get("/fail")
def fail():
    raise ValueError


@pytest.mark.parametrize(
    ("path", "status", "name"), [("/items/1", 200, "read"), ("/items/x", 422, "read"), ("/fail", 500, "fail")]
)
def test_requests_are_timed(client: Clients, path: str, status: int, name: str) -> None:
    timings.clear()
    assert client(app, raise_server_exceptions=False).get(path).status_code == status
    assert len(timings) == 2
    for (metric, seconds, tags), kind in zip(timings, ("wall", "cpu"), strict=True):
        assert metric.startswith("shop.")
        assert metric.endswith(f".{name}")
        assert seconds >= 0
        assert tags == [f"http_status:{status}", "http_method:GET", f"time:{kind}"]
