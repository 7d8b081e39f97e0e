"""Dependencies: what runs, how often, when it ends, and what a failure does, under FastAPI and Velithon alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.signature.sidebyside import Pair

DEPENDENCIES = """
import contextlib
import functools
from typing import Annotated, Any
from fastapi import BackgroundTasks, Body, Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response, Security
from fastapi.responses import StreamingResponse
from fastapi.security import SecurityScopes
from starlette.requests import HTTPConnection
app = FastAPI()
log = []

class Boom(Exception): pass
class Bang(Exception): pass

@app.exception_handler(Boom)
async def on_boom(request, exc):
    log.append("handler")
    return Response("boom", status_code=418)

@app.get("/log")
async def read_log():
    seen = list(log)
    log.clear()
    return seen

def plain(q: int = 1): log.append("plain"); return q
async def coro(q: int = 1, p: int = Depends(plain)): log.append("coro"); return q + p
def gen():
    log.append("gen in")
    try:
        yield "gen"
    except Exception as exc:
        log.append(f"gen {type(exc).__name__}")
        raise
    finally:
        log.append("gen out")
async def agen(g: str = Depends(gen)):
    log.append("agen in")
    try:
        yield g + "+agen"
    except Exception as exc:
        log.append(f"agen {type(exc).__name__}")
        raise
    finally:
        log.append("agen out")
async def swallow():
    try:
        yield 1
    except Exception as exc:
        log.append("swallowed")
async def convert():
    try:
        yield 1
    except Boom:
        log.append("converted")
        raise HTTPException(409, "converted")
def bad_start():
    raise HTTPException(401, "no")
    yield
async def late_error():
    yield 1
    log.append("late")
    raise Bang()
class Callable_:
    def __init__(self, n): self.n = n
    def __call__(self, q: int = 5): return self.n + q
class AsyncCallable:
    async def __call__(self, q: int = 5): return q
class GenCallable:
    def __call__(self):
        log.append("gc in")
        yield "gc"
        log.append("gc out")
class Params:
    def __init__(self, q: str | None = None, limit: Annotated[int, Query(le=10)] = 5): self.q, self.limit = q, limit
def decorated(func):
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        return func(*args, **kwargs)
    return wrapper
def adecorated(func):
    @functools.wraps(func)
    async def wrapper(*args, **kwargs):
        assert not args
        return await func(*args, **kwargs)
    return wrapper
@decorated
def wrapped(q: int = 4): return q
@decorated
def wrapped_gen():
    log.append("wg in")
    yield "wg"
    log.append("wg out")
counter = [0]
def count():
    counter[0] += 1
    return counter[0]
def a(n: int = Depends(count)): return n
def b(n: int = Depends(count)): return n
def fresh(n: int = Depends(count, use_cache=False)): return n
def needs_header(x_token: str = Header()): log.append("token"); return x_token
def needs_path(item_id: int): return item_id
def deep(t: str = Depends(needs_header), q: int = Query()): log.append("deep"); return [t, q]
async def sets(response: Response): response.headers["x-dep"] = "yes"; response.status_code = 201; response.set_cookie("c", "v")
async def tasks(background: BackgroundTasks): background.add_task(log.append, "task dep")
async def scopes(s: SecurityScopes): return [s.scopes, s.scope_str]
async def scoped(s: SecurityScopes, sub: Any = Security(scopes, scopes=["sub"])): return [s.scopes, sub]
async def conn(c: HTTPConnection, r: Request): return [c.url.path, r.method, c is r]
def fn():
    log.append("fn in")
    try:
        yield 1
    except Exception as exc:
        log.append(f"fn {type(exc).__name__}")
        raise
    finally:
        log.append("fn out")
async def afn(f: int = Depends(fn, scope="function")):
    log.append("afn in")
    yield f
    log.append("afn out")
async def fn_swallow():
    try:
        yield 1
    except Exception:
        log.append("fn swallowed")

@app.get("/chain")
async def chain(c: int = Depends(coro), p: int = Depends(plain)): log.append("endpoint"); return [c, p]
@app.get("/gens")
async def gens(v: str = Depends(agen)): log.append("endpoint"); return v
@app.get("/gens-sync")
def gens_sync(v: str = Depends(agen)): log.append("endpoint"); return v
@app.get("/gens-stream")
async def gens_stream(v: str = Depends(agen)):
    async def items():
        for i in range(3):
            log.append(f"item {i}")
            yield str(i)
    return StreamingResponse(items())
@app.get("/gens-task")
async def gens_task(tasks: BackgroundTasks, v: str = Depends(agen)): tasks.add_task(log.append, "task"); return v
@app.get("/gens-boom")
async def gens_boom(v: str = Depends(agen)): raise Boom()
@app.get("/gens-http")
async def gens_http(v: str = Depends(agen)): raise HTTPException(404, "none")
@app.get("/gens-bang")
async def gens_bang(v: str = Depends(agen)): raise Bang()
@app.get("/swallow")
async def swallow_(v: int = Depends(swallow)): raise Boom()
@app.get("/convert")
async def convert_(v: int = Depends(convert)): raise Boom()
@app.get("/bad-start")
async def bad_start_(g: str = Depends(gen), v: int = Depends(bad_start)): return 1
@app.get("/late")
async def late(v: int = Depends(late_error), g: str = Depends(gen)): return 1
@app.get("/objects")
async def objects(a: int = Depends(Callable_(10)), b: int = Depends(AsyncCallable()), c: str = Depends(GenCallable()), d: int = Depends(functools.partial(plain, q=9)), e: int = Depends(wrapped), f: str = Depends(wrapped_gen)): return [a, b, c, d, e, f]
@app.get("/partial-gen")
async def partial_gen(a: str = Depends(functools.partial(gen))): return a
@app.get("/class")
async def class_(p: Params = Depends(), p2: Annotated[Params, Depends()] = None): return [p.q, p.limit, p is p2]
@app.get("/cache")
async def cache(a: int = Depends(a), b: int = Depends(b), c: int = Depends(count), d: int = Depends(fresh), e: int = Depends(count, use_cache=False)): return [a == b == c, d > c, e > d]
@app.get("/errors/{item_id}")
async def errors(item_id: str, d: list = Depends(deep), p: int = Depends(needs_path), t: str = Depends(needs_header), z: int = Query(gt=3)): return [item_id, d, p, t, z]
@app.get("/sets", dependencies=[Depends(sets)])
async def sets_(): return 1
@app.get("/sets-204", status_code=204, dependencies=[Depends(sets)])
async def sets_204(): return None
@app.get("/tasks", dependencies=[Depends(tasks)])
async def tasks_(background: BackgroundTasks): background.add_task(log.append, "task endpoint"); return 1
@app.get("/tasks-response", dependencies=[Depends(tasks)])
async def tasks_response(): return Response("x")
@app.get("/scopes", dependencies=[Security(scopes, scopes=["route"])])
async def scopes_(s: Any = Security(scoped, scopes=["one", "two"]), t: Any = Security(scopes, scopes=["sub"]), u: Any = Depends(scopes)): return [s, t, u]
@app.get("/conn")
async def conn_(c: list = Depends(conn)): return c
@app.get("/function-scope")
async def function_scope(v: int = Depends(afn, scope="function"), g: str = Depends(gen)): log.append("endpoint"); return v
@app.get("/function-scope-stream")
async def function_scope_stream(v: int = Depends(fn, scope="function"), g: str = Depends(gen)):
    async def items():
        log.append("item")
        yield "1"
    return StreamingResponse(items())
@app.get("/function-scope-boom")
async def function_scope_boom(v: int = Depends(afn, scope="function"), g: str = Depends(gen)): raise Boom()
@app.get("/function-swallow")
async def function_swallow(v: int = Depends(fn_swallow, scope="function"), g: str = Depends(gen)): raise Boom()
@app.get("/both-scopes")
async def both_scopes(v: int = Depends(fn, scope="function"), w: int = Depends(fn)): log.append("endpoint"); return v
@app.get("/limited")
async def limited(v: int = Depends(plain, max_concurrency=1), w: str = Depends(gen, max_concurrency=2)): return [v, w]
@app.get("/response-error")
async def response_error(v: str = Depends(agen)) -> int: return "x"
@app.get("/invalid-with-gen")
async def invalid_with_gen(q: int, v: str = Depends(agen)): return q
"""

PATHS = [
    "/chain", "/chain?q=2", "/chain?q=x", "/gens", "/gens-sync", "/gens-stream", "/gens-task", "/gens-boom", "/gens-http", "/gens-bang",
    "/swallow", "/convert", "/bad-start", "/late", "/objects", "/objects?q=3", "/objects?q=x", "/partial-gen", "/class", "/class?q=a&limit=3", "/class?limit=11",
    "/cache", "/errors/1", "/errors/x", "/errors/x?q=1&z=1", "/errors/3?q=1&z=5", "/sets", "/tasks", "/tasks-response", "/scopes", "/conn",
    "/function-scope", "/function-scope-stream", "/function-scope-boom", "/both-scopes", "/limited", "/response-error",
    "/invalid-with-gen", "/invalid-with-gen?q=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def dependencies() -> Iterator[Pair]:
    yield Pair(DEPENDENCIES)


@pytest.mark.parametrize("path", PATHS)
def test_dependencies(dependencies: Pair, path: str) -> None:
    dependencies.same("GET", path)
    dependencies.same("GET", "/log")
    dependencies.same("GET", path, headers={"x-token": "t"})
    dependencies.same("GET", "/log")


def test_swallowed_exceptions(dependencies: Pair) -> None:
    """Where FastAPI trips over an unbound variable, the error says what the dependency did wrong."""
    assert dependencies.ours.get("/function-swallow").status_code == 500
    assert dependencies.ours.get("/log").json() == ["gen in", "fn swallowed", "gen VelithonError", "gen out"]


OVERRIDES = """
from fastapi import Depends, FastAPI, Header, Query, Security, Body
from fastapi.security import SecurityScopes
from typing import Any
app = FastAPI()
log = []
def original(q: int = 1): return ["original", q]
def middle(o: Any = Depends(original)): return ["middle", o]
def gen():
    log.append("in")
    yield "gen"
    log.append("out")
def replacement(z: int = 2, h: str | None = Header(None)): return ["replacement", z, h]
async def areplacement(): return "async"
def rgen():
    log.append("rin")
    yield "rgen"
    log.append("rout")
def with_original(o: Any = Depends(middle)): return ["with", o]
def scoped(s: SecurityScopes): return s.scopes
def scoped2(s: SecurityScopes): return ["two", s.scopes]
def body_dep(token: str = Body()): return token
def no_body(): return "none"
@app.get("/deep")
async def deep(m: Any = Depends(middle), o: Any = Depends(original), g: str = Depends(gen)): return [m, o, g]
@app.get("/scoped")
async def scoped_(s: Any = Security(scoped, scopes=["a", "b"])): return s
@app.post("/body")
async def body(n: int = Body(), t: str = Depends(body_dep)): return [n, t]
@app.get("/route", dependencies=[Depends(original)])
async def route(): return 1
@app.put("/set/{which}")
async def set_(which: str):
    app.dependency_overrides.clear()
    app.dependency_overrides.update({
        "none": {}, "replaced": {original: replacement}, "async": {original: areplacement}, "gen": {gen: rgen, original: rgen},
        "middle": {middle: areplacement}, "nested": {gen: with_original, original: replacement}, "scoped": {scoped: scoped2}, "body": {body_dep: no_body},
    }[which])
"""


@pytest.fixture(scope="module")
def overrides() -> Iterator[Pair]:
    yield Pair(OVERRIDES)


@pytest.mark.parametrize("which", ["replaced", "async", "gen", "middle", "nested", "scoped", "body", "none"])
def test_overrides(overrides: Pair, which: str) -> None:
    overrides.same("PUT", f"/set/{which}")
    overrides.same("GET", "/deep")
    overrides.same("GET", "/deep?q=3&z=4")
    overrides.same("GET", "/deep?q=x&z=y", headers={"h": "1"})
    overrides.same("GET", "/scoped")
    overrides.same("GET", "/route?z=x")
    overrides.same("POST", "/body", json={"n": 1, "token": "t"})
    overrides.same("POST", "/body", json=3)
