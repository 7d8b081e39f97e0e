"""Counts of requests, answers and exceptions by route template, and an endpoint that shows them."""
# /// script
# dependencies = ["aioprometheus[starlette]"]
# ///

from aioprometheus import Counter, MetricsMiddleware
from aioprometheus.asgi.starlette import metrics
from fastapi import FastAPI

from tests.ecosystem.plugin import Clients

sold = Counter("items_sold", "Items that were sold.")
app = FastAPI()
app.add_middleware(MetricsMiddleware)
app.add_route("/metrics", metrics)


@app.get("/items/{item}")
async def read(item: int):
    sold.inc({"item": str(item)})
    return item


@app.get("/fail")
def fail():
    raise ValueError


def test_requests_are_counted_by_their_template(client: Clients) -> None:
    http = client(app, raise_server_exceptions=False)
    for number in range(3):
        assert http.get(f"/items/{number}").status_code == 200
    assert http.get("/items/x").status_code == 422
    assert http.get("/fail").status_code == 500
    answer = http.get("/metrics", headers={"accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'requests_total_counter{method="GET",path="/items/{item}"} 4' in lines
    assert 'status_codes_counter{method="GET",path="/items/{item}",status_code="422"} 1' in lines
    assert 'exceptions_total_counter{method="GET",path="/fail"} 1' in lines
    assert 'items_sold{item="2"} 1' in lines
    assert not any('path="/metrics"' in line for line in lines)
