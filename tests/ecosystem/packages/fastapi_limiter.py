"""Limits of requests and of a WebSocket's messages, as dependencies."""
# /// script
# dependencies = ["fastapi-limiter"]
#
# [tool.ecosystem]
# remarks = "It raises FastAPI's `HTTPException`: `except` takes Starlette's, which is the base of both."
# ///

from fastapi import Depends, FastAPI, WebSocket
from fastapi_limiter.decorators import skip_limiter
from fastapi_limiter.depends import RateLimiter, WebSocketRateLimiter
from pyrate_limiter import Duration, Limiter, Rate
from starlette.exceptions import HTTPException

from tests.ecosystem.plugin import Clients


def limiter(count: int) -> Limiter:
    return Limiter(Rate(count, Duration.MINUTE))


app = FastAPI()


@app.get("/limited", dependencies=[Depends(RateLimiter(limiter=limiter(2)))])
async def limited():
    return "limited"


@app.get("/twice", dependencies=[Depends(RateLimiter(limiter=limiter(3))), Depends(RateLimiter(limiter=limiter(1)))])
def twice():
    return "twice"


@app.get("/free", dependencies=[Depends(RateLimiter(limiter=limiter(1)))])
@skip_limiter
async def free():
    return "free"


@app.websocket("/ws")
async def chat(websocket: WebSocket):
    await websocket.accept()
    check = WebSocketRateLimiter(limiter=limiter(2))
    async for _ in websocket.iter_text():
        try:
            await check(websocket)
        except HTTPException:
            await websocket.send_text("too many")
        else:
            await websocket.send_text("well")


def test_requests_are_counted(client: Clients) -> None:
    with client(app) as http:
        assert [http.get("/limited").status_code for _ in range(3)] == [200, 200, 429]
        assert http.get("/limited").json() == {"detail": "Too Many Requests"}


def test_the_stricter_of_two_limits_counts(client: Clients) -> None:
    with client(app) as http:
        assert [http.get("/twice").status_code for _ in range(2)] == [200, 429]


def test_a_route_that_is_left_out_is_not_counted(client: Clients) -> None:
    with client(app) as http:
        assert [http.get("/free").status_code for _ in range(3)] == [200, 200, 200]


def test_messages_are_counted(client: Clients) -> None:
    with client(app) as http, http.websocket_connect("/ws") as websocket:
        answers = []
        for _ in range(3):
            websocket.send_text("hello")
            answers.append(websocket.receive_text())
        assert answers == ["well", "well", "too many"]
