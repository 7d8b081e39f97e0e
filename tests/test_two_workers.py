"""Two workers of a real server, one Redis: one limit, one cache, one session."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.servers import ServerName, serve
from tests.services.redis import RedisServer

pytestmark = pytest.mark.server

APP = """
import asyncio, os

from velithon import Depends, Request, Velithon
from velithon.cache import cache, invalidate
from velithon.ratelimit import RateLimit
from velithon.sessions import ServerSessionMiddleware

app = Velithon(store=os.environ["STORE"])
app.add_middleware(ServerSessionMiddleware)


def limited(strategy):
    async def endpoint() -> int:
        return os.getpid()

    app.add_api_route(f"/{strategy}", endpoint, dependencies=[Depends(RateLimit("30/minute", strategy=strategy))])


for strategy in ("fixed-window", "sliding-window", "token-bucket"):
    limited(strategy)


@app.get("/cached/{name}")
@cache(expire=60, tags=["all"])
async def cached(name: str, request: Request) -> int:
    await asyncio.sleep(0.1)
    return await request.app.store.increment(f"computed {name}")


@app.post("/invalidate")
async def drop(request: Request) -> None:
    await invalidate(request.app.store, "all")


@app.post("/login")
async def login(request: Request) -> None:
    request.session.regenerate(user="alice")
    request.session["n"] = 0


@app.post("/add")
async def add(request: Request) -> list[int]:
    request.session["n"] += 1
    return [os.getpid(), request.session["n"]]
"""


def ask(port: int, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any, dict[str, str]]:
    """Send one request on a connection of its own, so that any worker may take it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
        return (
            answer.status,
            json.loads(body) if body else None,
            {name.lower(): value for name, value in answer.getheaders()},
        )
    finally:
        connection.close()


@pytest.mark.parametrize("server", ["granian-rsgi", "uvicorn"])
def test_two_workers_are_one_world(server: ServerName, shared_redis: RedisServer) -> None:
    """Of ten times as many requests exactly as many pass as the limit says; one computes; a session is seen by both."""
    shared_redis.command("FLUSHALL")
    env = {"STORE": shared_redis.url}
    with serve(APP, server, "--workers", "2", env=env) as running, ThreadPoolExecutor(16) as pool:
        port = running.port

        def many(count: int, method: str, path: str) -> list[tuple[int, Any, dict[str, str]]]:
            return list(pool.map(lambda _: ask(port, method, path), range(count)))

        for strategy in ("fixed-window", "sliding-window"):
            statuses = Counter(status for status, _, _ in many(300, "GET", f"/{strategy}"))
            assert statuses == {200: 30, 429: 270}
        # A bucket refills meanwhile: one token in two seconds.
        passed = [pid for status, pid, _ in many(300, "GET", "/token-bucket") if status == 200]
        assert 30 <= len(passed) <= 36
        assert len(set(passed)) == 2

        assert {number for _, number, _ in many(100, "GET", "/cached/a")} == {1}
        assert ask(port, "POST", "/invalidate")[0] == 200
        assert {number for _, number, _ in many(100, "GET", "/cached/a")} == {2}

        cookie = ask(port, "POST", "/login")[2]["set-cookie"].partition(";")[0]
        answers = [ask(port, "POST", "/add", {"cookie": cookie})[1] for _ in range(40)]
        assert [number for _, number in answers] == list(range(1, 41))
        assert len({pid for pid, _ in answers}) == 2
