"""An identifier for each request: taken or made, in the logs, and on the answer."""
# /// script
# dependencies = ["asgi-correlation-id"]
# ///

import logging
from uuid import UUID

import pytest
from asgi_correlation_id import CorrelationIdFilter, CorrelationIdMiddleware
from asgi_correlation_id.context import correlation_id
from fastapi import BackgroundTasks, FastAPI

from tests.ecosystem.plugin import Clients

logger = logging.getLogger("shop")
app = FastAPI()
app.add_middleware(CorrelationIdMiddleware, header_name="X-Request-ID")
seen = []


@app.get("/async")
async def asynchronous(tasks: BackgroundTasks):
    logger.warning("in the endpoint")
    tasks.add_task(lambda: seen.append(correlation_id.get()))
    return correlation_id.get()


@app.get("/sync")
def synchronous():
    return correlation_id.get()


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_an_identifier_is_taken_or_made(client: Clients, path: str) -> None:
    http = client(app)
    given = "6b5f6c3e0b0a4f7e8d3c2b1a09f8e7d6"
    taken = http.get(path, headers={"x-request-id": given})
    assert (taken.json(), taken.headers["x-request-id"]) == (given, given)
    made = http.get(path)
    assert made.json() == made.headers["x-request-id"] == UUID(made.json()).hex
    assert http.get(path, headers={"x-request-id": "<script>"}).json() != "<script>"


def test_logs_and_background_tasks_have_it(client: Clients, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(CorrelationIdFilter())
    seen.clear()
    answer = client(app).get("/async")
    record = next(record for record in caplog.records if record.name == "shop")
    assert record.correlation_id == answer.json()
    assert seen == [answer.json()]
