"""Limits of requests by address, on routes and for the whole application."""
# /// script
# dependencies = ["slowapi"]
# ///

from fastapi import FastAPI, Request, Response
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIMiddleware
from slowapi.util import get_remote_address

from tests.ecosystem.plugin import Clients

limiter = Limiter(key_func=get_remote_address, default_limits=["3/minute"], headers_enabled=True)
app = FastAPI()
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
app.add_middleware(SlowAPIMiddleware)


@app.get("/limited")
@limiter.limit("2/minute")
async def limited(request: Request, response: Response):
    return {"path": request.url.path}


@app.get("/free")
@limiter.exempt
def free():
    return "free"


@app.get("/default")
def default():
    return "default"


def test_a_route_has_its_own_limit(client: Clients) -> None:
    http = client(app)
    assert [http.get("/limited").status_code for _ in range(3)] == [200, 200, 429]
    assert http.get("/limited").json()["error"] == "Rate limit exceeded: 2 per 1 minute"


def test_the_others_have_the_default(client: Clients) -> None:
    http = client(app)
    first = http.get("/default")
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("3", "2")
    assert [http.get("/default").status_code for _ in range(3)] == [200, 200, 429]


def test_an_exempt_route_has_none(client: Clients) -> None:
    http = client(app)
    assert {http.get("/free").status_code for _ in range(5)} == {200}
