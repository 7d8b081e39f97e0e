"""A client that leaves is noticed alike on all servers, and what the request opened is closed."""

import socket
import time

import httpx
import pytest

from tests.servers import EVERY_SERVER, ServerName, serve

APP = """
import asyncio
from typing import Annotated
from starlette.applications import Starlette
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from velithon import Velithon
from velithon.params import Depends
from velithon.requests import Request

app = Velithon()
EVENTS = {}

async def note(name: str):
    events = EVENTS.setdefault(name, [])
    try:
        yield events
    except BaseException as exc:
        events.append(type(exc).__name__)
        raise
    finally:
        events.append("closed")

Events = Annotated[list, Depends(note)]

@app.get("/events/{name}")
async def events(name: str):
    return EVENTS.get(name, [])

async def poll(request, events):
    events.append("polls")
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    events.append("left")

@app.get("/poll")
async def polls(request: Request, events: Events):
    await poll(request, events)

@app.post("/body")
async def body(request: Request, events: Events):
    events.append("reads")
    await request.body()

@app.post("/stream")
async def stream(request: Request, events: Events):
    events.append("reads")
    async for chunk in request.stream():
        pass

async def foreign(request):
    events = EVENTS.setdefault("foreign", [])
    await poll(request, events)
    events.append("closed")
    return StarletteResponse()

app.mount("/mounted", Starlette(routes=[Route("/", foreign)]))
"""

POLL = b"GET /poll?name=poll HTTP/1.1\r\nhost: h\r\n\r\n"
FOREIGN = b"GET /mounted/ HTTP/1.1\r\nhost: h\r\n\r\n"
BODY = b"POST /%s?name=%s HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\npart"


def wait_for(client: httpx.Client, name: str, event: str) -> list[str]:
    """Ask until something happened, for as long as a busy machine may need."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        events: list[str] = client.get(f"/events/{name}").json()
        if event in events:
            return events
    raise AssertionError(f"{event} did not happen: {events}")


@pytest.mark.parametrize("server", EVERY_SERVER)
def test_clients_that_leave(server: ServerName) -> None:
    with serve(APP, server) as running, httpx.Client(base_url=running.url) as client:
        for name, request, first in (
            ("poll", POLL, "polls"),
            ("foreign", FOREIGN, "polls"),
            ("body", BODY % (b"body", b"body"), "reads"),
            ("stream", BODY % (b"stream", b"stream"), "reads"),
        ):
            with socket.create_connection(("127.0.0.1", running.port)) as connection:
                connection.sendall(request)
                wait_for(client, name, first)
            events = wait_for(client, name, "closed")
            assert events == [first, "left" if first == "polls" else "ClientDisconnect", "closed"]
