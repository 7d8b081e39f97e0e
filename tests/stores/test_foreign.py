"""The layers that keep state, under an application that is Starlette's: in a store of their own."""

import subprocess
import sys

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from velithon.cache import CacheMiddleware
from velithon.ratelimit import RateLimitMiddleware
from velithon.sessions import ServerSessionMiddleware


def test_layers_work_under_starlette() -> None:
    calls = 0

    async def index(request: Request) -> JSONResponse:
        nonlocal calls
        calls += 1
        request.session["n"] = request.session.get("n", 0) + 1
        return JSONResponse([calls, request.session["n"]])

    async def kept(request: Request) -> JSONResponse:
        nonlocal calls
        calls += 1
        return JSONResponse(calls, headers={"cache-control": "max-age=60"})

    layers = [
        Middleware(RateLimitMiddleware, "5/minute"),
        Middleware(CacheMiddleware),
        Middleware(ServerSessionMiddleware),
    ]
    with TestClient(Starlette(routes=[Route("/", index), Route("/kept", kept)], middleware=layers)) as caller:
        assert [caller.get("/kept").json() for _ in range(2)] == [1, 1]
        assert [caller.get("/").json() for _ in range(2)] == [[2, 1], [3, 2]]
        assert caller.get("/").headers["ratelimit"].startswith('"default";r=0')
        refused = caller.get("/")
        assert (refused.status_code, refused.json()) == (429, {"detail": "Too Many Requests"})


@pytest.mark.parametrize(
    ("package", "module", "extra"), [("limits", "ratelimit", "limits"), ("itsdangerous", "sessions", "sessions")]
)
def test_a_missing_extra_says_what_to_install(package: str, module: str, extra: str) -> None:
    source = f"""
import sys
sys.modules[{package!r}] = None
try:
    import velithon.{module}
except ImportError as exc:
    print(exc)
"""
    output = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert f"pip install 'velithon[{extra}]'" in output
