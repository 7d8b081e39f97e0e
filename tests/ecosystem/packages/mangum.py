"""The application as a function of AWS Lambda, behind API Gateway, with its lifespan and binary bodies."""
# /// script
# dependencies = ["mangum"]
# [tool.ecosystem]
# protocols = ["asgi"]
# ///

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from fastapi import Body, FastAPI, Request, Response
from mangum import Mangum

begun = []


@asynccontextmanager
async def lifespan(app: FastAPI):
    begun.append("begun")
    yield {"word": "from the lifespan"}
    begun.append("ended")


app = FastAPI(lifespan=lifespan)


@app.post("/items/{item}")
async def create(item: int, body: Annotated[dict[str, int], Body()], q: Annotated[list[str], Body()]):
    return {"item": item, "body": body, "q": q}


@app.get("/state")
async def state(request: Request):
    caller = request.scope["aws.event"]["requestContext"]["http"]["sourceIp"]
    return {"word": request.state.word, "caller": caller, "host": request.client.host}


@app.get("/picture")
async def picture():
    return Response(bytes(range(256)), media_type="image/png", headers={"set-cookie": "a=1"})


@pytest.fixture(autouse=True)
def _loop():
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    yield
    asyncio.set_event_loop(None)
    loop.close()


def call(method: str, path: str, body: str | None = None, query: str = "") -> dict:
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example.com", "content-type": "application/json"},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "203.0.113.7"}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": False,
    }
    return Mangum(app)(event, object())


def test_an_event_becomes_a_request() -> None:
    answer = call("POST", "/items/3", body='{"body": {"a": 1}, "q": ["x", "y"]}')
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, "application/json")
    assert json.loads(answer["body"]) == {"item": 3, "body": {"a": 1}, "q": ["x", "y"]}
    assert call("POST", "/items/x", body="{}")["statusCode"] == 422
    assert call("GET", "/nowhere")["statusCode"] == 404


def test_the_lifespan_runs_and_its_state_is_seen() -> None:
    begun.clear()
    assert json.loads(call("GET", "/state")["body"]) == {
        "word": "from the lifespan",
        "caller": "203.0.113.7",
        "host": "203.0.113.7",
    }
    assert begun == ["begun", "ended"]


def test_what_is_no_text_is_encoded() -> None:
    answer = call("GET", "/picture")
    assert answer["isBase64Encoded"]
    assert base64.b64decode(answer["body"]) == bytes(range(256))
    assert answer["cookies"] == ["a=1"]
