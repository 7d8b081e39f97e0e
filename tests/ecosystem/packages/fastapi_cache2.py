"""Answers kept in memory and in Redis, with their headers, and cleared by a namespace."""
# /// script
# dependencies = ["fastapi-cache2[redis]"]
#
# [tool.ecosystem]
# remarks = "A `response: Response` that it is to see is Starlette's."
# ///

from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request, Response
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from pydantic import BaseModel
from redis import asyncio as aioredis

from tests.ecosystem.plugin import Clients


class Count(BaseModel):
    value: int


def shop(backend) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI):
        FastAPICache.reset()
        FastAPICache.init(backend(), prefix="shop")
        yield

    app = FastAPI(lifespan=lifespan)
    calls = {"asynchronous": 0, "synchronous": 0}

    @app.get("/asynchronous")
    @cache(namespace="count", expire=60)
    async def asynchronous(request: Request, response: Response, step: int = 1) -> Count:
        calls["asynchronous"] += step
        return Count(value=calls["asynchronous"])

    @app.get("/synchronous")
    @cache(namespace="count", expire=60)
    def synchronous() -> Count:
        calls["synchronous"] += 1
        return Count(value=calls["synchronous"])

    @app.post("/clear")
    async def clear():
        await FastAPICache.clear(namespace="count")

    return app


@pytest.fixture(params=["memory", "redis"])
def app(request: pytest.FixtureRequest) -> FastAPI:
    if request.param == "memory":
        return shop(InMemoryBackend)
    url = request.getfixturevalue("redis_url")
    return shop(lambda: RedisBackend(aioredis.from_url(url)))


def test_an_answer_is_kept_until_it_is_cleared(client: Clients, app: FastAPI) -> None:
    with client(app) as http:
        http.post("/clear")
        first = http.get("/asynchronous")
        assert (first.json(), first.headers["x-fastapi-cache"]) == ({"value": 1}, "MISS")
        second = http.get("/asynchronous")
        assert (second.json(), second.headers["x-fastapi-cache"]) == ({"value": 1}, "HIT")
        assert second.headers["cache-control"].startswith("max-age=")
        assert http.get("/asynchronous?step=5").json() == {"value": 6}
        same = http.get("/asynchronous", headers={"if-none-match": second.headers["etag"]})
        assert same.status_code == 304
        assert [http.get("/synchronous").json()["value"] for _ in range(3)] == [1, 1, 1]
        http.post("/clear")
        assert http.get("/synchronous").json() == {"value": 2}


def test_the_added_parameters_are_not_documented(client: Clients, app: FastAPI) -> None:
    with client(app) as http:
        paths = http.get("/openapi.json").json()["paths"]
        assert "parameters" not in paths["/synchronous"]["get"]
        assert [item["name"] for item in paths["/asynchronous"]["get"]["parameters"]] == ["step"]
