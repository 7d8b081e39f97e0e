"""`python -m benchmarks.state`: what a limit, a cached response and a session cost, in memory and on a Redis.

Processor time of this process for one request that is an object in memory, as `benchmarks.core` takes it; and for a
Redis that it starts on the loopback interface, the time until the answer too. `--instructions` counts with valgrind.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.apps import common
from benchmarks.core.measure import Thunk, best_nanoseconds, count, counted
from benchmarks.core.memory import ASGIExchange, Protocol, Scope
from tests.services.redis import redis_server
from velithon import Depends, Request, Velithon
from velithon.cache import cache
from velithon.middleware.sessions import SessionMiddleware
from velithon.ratelimit import RateLimit
from velithon.sessions import ServerSessionMiddleware

Make = Callable[[Velithon], object]


async def plain() -> Any:
    return common.HELLO


async def read_session(request: Request) -> Any:
    return request.session.get("n")


async def write_session(request: Request) -> Any:
    request.session["n"] = request.session.get("n", 0) + 1
    return None


def _limited(strategy: Any) -> Make:
    # Windows of ten seconds that never fill.
    limit = RateLimit("1000000/10 seconds", strategy=strategy)
    return lambda app: app.add_api_route("/", plain, dependencies=[Depends(limit)])


def _cached(app: Velithon) -> None:
    @app.get("/")
    @cache(expire=100_000)
    async def endpoint() -> Any:
        return common.HELLO


def _tagged(app: Velithon) -> None:
    @app.get("/")
    @cache(expire=100_000, tags=["tag"])
    async def endpoint() -> Any:
        return common.HELLO


def _session(endpoint: Any, layer: Any, **options: Any) -> Make:
    def make(app: Velithon) -> None:
        app.add_middleware(layer, **options)
        app.add_api_route("/", endpoint)
        app.add_api_route("/begin", write_session)

    return make


def _route(app: Velithon) -> None:
    app.add_api_route("/", plain)


Cases = Sequence[tuple[str, Make]]

CASES: Cases = (
    ("JSON endpoint, nothing else", _route),
    ("limit: fixed window", _limited("fixed-window")),
    ("limit: sliding window", _limited("sliding-window")),
    ("limit: token bucket", _limited("token-bucket")),
    ("cache: hit", _cached),
    ("cache: hit with a tag", _tagged),
    ("session: signed cookie, read", _session(read_session, SessionMiddleware, secret_key="secret")),
    ("session: signed cookie, write", _session(write_session, SessionMiddleware, secret_key="secret")),
    ("session: in the store, read", _session(read_session, ServerSessionMiddleware)),
    ("session: in the store, write", _session(write_session, ServerSessionMiddleware)),
)


async def _cookie(app: Velithon) -> dict[str, str]:
    """Return the header with a session's cookie, where the application has sessions."""
    protocol = Protocol()
    face: Any = app.__rsgi__
    await face(Scope("GET", "/begin", {}), protocol)
    given = dict(protocol.sent[1]).get("set-cookie")
    return {} if given is None else {"cookie": given.partition(";")[0]}


async def rsgi_thunk(make: Make, url: str, stack: AsyncExitStack) -> Thunk:
    """Return one whole request over RSGI, to an application that the stack closes."""
    app = Velithon(openapi_url=None, store=url)
    make(app)
    headers = await _cookie(app)
    face: Any = app.__rsgi__
    scope, protocol = Scope("GET", "/", headers), Protocol()
    stack.push_async_callback(app._close_stores)

    async def thunk() -> None:
        await face(scope, protocol)

    for _ in range(2):
        await thunk()
        if protocol.sent[0] != 200:
            raise RuntimeError(f"The answer is {protocol.sent}.")
    return thunk


async def asgi_thunk(make: Make) -> Thunk:
    """Return one whole request over ASGI, with the store in memory."""
    app = Velithon(openapi_url=None)
    make(app)
    exchange = ASGIExchange("GET", "/", await _cookie(app), b"")

    async def thunk() -> None:
        await app(dict(exchange.scope), exchange.receive, exchange.send)

    await thunk()
    return thunk


async def _elapsed(thunk: Thunk, seconds: float) -> float:
    """Return the median time until the answer, in nanoseconds."""
    taken = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter_ns()
        await thunk()
        taken.append(time.perf_counter_ns() - begun)
    return sorted(taken)[len(taken) // 2]


async def rows(cases: Cases, url: str, seconds: float) -> AsyncIterator[tuple[str, list[float]]]:
    """Yield each case's name and its figures."""
    async with AsyncExitStack() as stack:
        for name, make in cases:
            in_memory = await best_nanoseconds(await rsgi_thunk(make, "memory://", stack), seconds)
            over_asgi = await best_nanoseconds(await asgi_thunk(make), seconds)
            on_redis = await rsgi_thunk(make, url, stack)
            yield (
                name,
                [in_memory, over_asgi, await best_nanoseconds(on_redis, seconds), await _elapsed(on_redis, seconds)],
            )


async def measure(cases: Cases, seconds: float) -> None:
    """Print the table of times."""
    print(f"{'µs':<32}{'RSGI':>9}{'ASGI':>9}{'Redis':>9}{'elapsed':>9}")
    with redis_server() as server:
        async for name, values in rows(cases, server.url, seconds):
            print(name.ljust(32) + "".join(f"{value / 1000:>9.2f}" for value in values))


async def _count(cases: Cases) -> None:
    async with AsyncExitStack() as stack:
        await count([await rsgi_thunk(make, "memory://", stack) for _, make in cases])


def main() -> None:
    """Measure, or count."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.state", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each figure (default: 0.5)")
    parser.add_argument("--instructions", action="store_true", help="count instructions with valgrind, over RSGI")
    parser.add_argument("--only", action="append", metavar="CASE", help="part of a case's name; may be repeated")
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    only = options.only or [""]
    cases = [case for case in CASES if any(part in case[0] for part in only)]
    if options.count:
        asyncio.run(_count(cases))
    elif options.instructions:
        print(f"{'instructions, RSGI, memory':<32}")
        arguments = ["--count", *(f"--only={part}" for part in only)]
        for (name, _), value in zip(cases, counted(arguments, len(cases), "benchmarks.state"), strict=True):
            print(f"{name:<32}{value:>9.0f}")
    else:
        asyncio.run(measure(cases, options.seconds))


if __name__ == "__main__":
    main()
