"""Events to a browser, as they come, by test clients and by real servers."""
# /// script
# dependencies = ["sse-starlette"]
# ///

import asyncio
import time

import httpx2
from fastapi import FastAPI, Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from tests.ecosystem.plugin import Clients, Servers

app = FastAPI()
left = asyncio.Event()


@app.get("/count")
async def count(request: Request):
    async def events():
        for number in range(3):
            yield {"event": "number", "id": str(number), "data": number}
        yield ServerSentEvent("done", event="end", retry=5000)

    return EventSourceResponse(events(), headers={"x-count": "3"})


@app.get("/slow")
async def slow():
    async def events():
        try:
            while True:
                yield {"data": "tick"}
                await asyncio.sleep(0.1)
        finally:
            left.set()

    return EventSourceResponse(events(), ping=15)


@app.get("/left")
async def has_left():
    return left.is_set()


EXPECTED = [
    "id: 0", "event: number", "data: 0", "",
    "id: 1", "event: number", "data: 1", "",
    "id: 2", "event: number", "data: 2", "",
    "event: end", "data: done", "retry: 5000", "",
]  # fmt: skip


def test_events_are_framed(client: Clients) -> None:
    answer = client(app).get("/count")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-count"] == "3"
    assert answer.text.splitlines() == EXPECTED


def test_events_come_while_the_stream_goes_on(server: Servers) -> None:
    with server() as running:
        with httpx2.stream("GET", f"{running.url}/slow", timeout=10) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "data: tick"
        # The server learns that the client left, and ends the generator.
        deadline = time.monotonic() + 10
        while not httpx2.get(f"{running.url}/left").json():
            assert time.monotonic() < deadline
            time.sleep(0.05)
