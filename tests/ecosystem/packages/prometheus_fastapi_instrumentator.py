"""Counts and durations of requests by route template, and the endpoint that shows them."""
# /// script
# dependencies = ["prometheus-fastapi-instrumentator"]
# ///

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

from tests.ecosystem.plugin import Clients

app = FastAPI()
router = APIRouter(prefix="/items")


@router.get("/{item}")
def read(item: int):
    return item


@app.get("/fail")
def fail():
    raise ValueError


app.include_router(router)
registry = CollectorRegistry()
instrumentator = Instrumentator(registry=registry, excluded_handlers=["/metrics"])
instrumentator.instrument(app).expose(app)


def test_requests_are_counted_by_their_template(client: Clients) -> None:
    with client(app, raise_server_exceptions=False) as http:
        for number in range(3):
            assert http.get(f"/items/{number}").status_code == 200
        assert http.get("/items/x").status_code == 422
        assert http.get("/fail").status_code == 500
        http.get("/nowhere")
        lines = http.get("/metrics").text.splitlines()
    counted = [line for line in lines if line.startswith("http_requests_total{")]
    assert 'http_requests_total{handler="/items/{item}",method="GET",status="2xx"} 3.0' in counted
    assert 'http_requests_total{handler="/items/{item}",method="GET",status="4xx"} 1.0' in counted
    assert 'http_requests_total{handler="/fail",method="GET",status="5xx"} 1.0' in counted
    assert 'http_requests_total{handler="none",method="GET",status="4xx"} 1.0' in counted
    assert "/metrics" not in "".join(counted)
    assert any(line.startswith('http_request_duration_seconds_count{handler="/items/{item}"') for line in lines)
