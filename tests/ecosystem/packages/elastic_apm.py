"""Transactions with route templates, and errors, by a layer."""
# /// script
# dependencies = ["elastic-apm"]
# ///

import elasticapm
from elasticapm.contrib.starlette import ElasticAPM, make_apm_client
from elasticapm.transport.base import Transport
from fastapi import APIRouter, FastAPI

from tests.ecosystem.plugin import Clients

sent = []


class Kept(Transport):
    def queue(self, event_type, data, flush=False):
        sent.append((event_type, data))

    def start_thread(self, pid=None):
        pass

    def close(self):
        pass


apm = make_apm_client(
    {
        "SERVICE_NAME": "shop",
        "CLOUD_PROVIDER": "none",
        "CENTRAL_CONFIG": False,
        "METRICS_INTERVAL": "0s",
        "CAPTURE_BODY": "all",
        "TRANSACTION_SAMPLE_RATE": 1.0,
    }
)
apm._transport = Kept(apm)
app = FastAPI()
app.add_middleware(ElasticAPM, client=apm)
router = APIRouter(prefix="/items")


@router.post("/{item}")
async def write(item: int, body: dict):
    elasticapm.label(tenant="blue")
    async with elasticapm.async_capture_span("look up"):
        return body


@app.get("/fail/{item}")
def fail(item: int):
    raise ValueError("broken")


inner = FastAPI()


@inner.get("/hello/{name}")
def hello(name: str):
    return name


app.include_router(router)
app.mount("/inner", inner)


def events(kind: str) -> list[dict]:
    return [data for event_type, data in sent if event_type == kind]


def test_a_transaction_has_the_template(client: Clients) -> None:
    sent.clear()
    http = client(app)
    assert http.post("/items/3", json={"title": "Emma"}).json() == {"title": "Emma"}
    (transaction,) = events("transaction")
    assert transaction["name"] == "POST /items/{item}"
    assert (transaction["result"], transaction["outcome"]) == ("HTTP 2xx", "success")
    assert transaction["context"]["tags"] == {"tenant": "blue"}
    assert "Emma" in str(transaction["context"]["request"]["body"])
    assert [span["name"] for span in events("span")] == ["look up"]


def test_a_mounted_application_has_its_own(client: Clients) -> None:
    sent.clear()
    assert client(app).get("/inner/hello/ada").json() == "ada"
    assert [item["name"] for item in events("transaction")] == ["GET /inner/hello/{name}"]


def test_an_error_is_captured(client: Clients) -> None:
    sent.clear()
    assert client(app, raise_server_exceptions=False).get("/fail/3").status_code == 500
    (transaction,) = events("transaction")
    assert (transaction["name"], transaction["result"]) == ("GET /fail/{item}", "HTTP 5xx")
    (error,) = events("error")
    assert error["exception"]["message"] == "ValueError: broken"
    assert error["context"]["request"]["method"] == "GET"
