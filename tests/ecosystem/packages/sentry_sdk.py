"""Errors and transactions by `sentry_sdk.init()` alone, with route templates."""
# /// script
# dependencies = ["sentry-sdk"]
# ///

import sentry_sdk
from fastapi import APIRouter, FastAPI, HTTPException
from sentry_sdk.transport import Transport

from tests.ecosystem.plugin import Clients

sent = []


class Kept(Transport):
    def capture_envelope(self, envelope) -> None:
        sent.extend(item.payload.json for item in envelope.items)


sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Kept, traces_sample_rate=1.0)
app = FastAPI()
router = APIRouter(prefix="/items")


@router.get("/{item}")
async def read(item: int):
    with sentry_sdk.start_span(name="look up"):
        return item


@app.get("/fail/{item}")
def fail(item: int):
    raise ValueError("broken")


@app.get("/refuse")
def refuse():
    raise HTTPException(503)


app.include_router(router)


def events(kind: str | None) -> list[dict]:
    return [item for item in sent if item.get("type") == kind]


def test_an_error_is_reported_once_with_its_route(client: Clients) -> None:
    sent.clear()
    http = client(app, raise_server_exceptions=False)
    assert http.get("/fail/3", headers={"x-trace": "yes"}).status_code == 500
    (event,) = [item for item in sent if "exception" in item]
    found = event["exception"]["values"][-1]
    assert (found["type"], found["value"]) == ("ValueError", "broken")
    assert event["transaction"] == "/fail/{item}"
    assert event["request"]["url"].endswith("/fail/3")
    assert event["request"]["headers"]["x-trace"] == "yes"


def test_a_transaction_has_the_template_and_its_spans(client: Clients) -> None:
    sent.clear()
    assert client(app).get("/items/3").json() == 3
    (transaction,) = events("transaction")
    assert transaction["transaction"] == "/items/{item}"
    assert transaction["transaction_info"] == {"source": "route"}
    assert "look up" in [span["description"] for span in transaction["spans"]]
    assert transaction["contexts"]["trace"]["status"] == "ok"


def test_an_expected_refusal_of_the_server_is_reported(client: Clients) -> None:
    sent.clear()
    assert client(app).get("/refuse").status_code == 503
    assert [item["exception"]["values"][-1]["type"] for item in sent if "exception" in item] == ["HTTPException"]
