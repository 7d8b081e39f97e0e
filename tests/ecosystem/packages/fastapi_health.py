"""An endpoint that says whether the application is well, from conditions that are dependencies."""
# /// script
# dependencies = ["fastapi-health"]
# ///

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi_health import health

from tests.ecosystem.plugin import Clients


def session():
    return {"database": "online"}


def database(opened: Annotated[dict, Depends(session)]):
    return opened


async def disk(free: int = 10):
    return {"free": free} if free > 5 else False


async def explain(**conditions):
    return {"failed": [name for name, value in conditions.items() if not value]}


app = FastAPI()
app.add_api_route("/health", health([database, disk]))
app.add_api_route("/ready", health([database, disk], failure_handler=explain, failure_status=500))


def test_conditions_are_asked(client: Clients) -> None:
    http = client(app)
    answer = http.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"database": "online", "free": 10})
    assert http.get("/health?free=1").status_code == 503
    failed = http.get("/ready?free=1")
    assert (failed.status_code, failed.json()) == (500, {"failed": ["disk"]})
    assert http.get("/health?free=x").status_code == 422
    names = http.get("/openapi.json").json()["paths"]["/health"]["get"]["parameters"]
    assert [item["name"] for item in names] == ["free"]


def test_a_condition_is_replaced(client: Clients) -> None:
    app.dependency_overrides[session] = dict
    try:
        assert client(app).get("/health").status_code == 503
    finally:
        app.dependency_overrides.clear()
