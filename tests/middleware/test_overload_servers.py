"""Limits of time on real servers, over a socket."""

import socket
import time
from typing import Any

import httpx2 as httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync import client as websocket_client

from tests.servers import SERVERS, ServerName, serve

pytestmark = pytest.mark.server

connect: Any = websocket_client.connect

APP = """
import asyncio
from velithon import Middleware, Request, Velithon, WebSocket, WebSocketDisconnect
from velithon.middleware.overload import ConcurrencyLimitMiddleware, TimeoutMiddleware

app = Velithon(middleware=[
    Middleware(TimeoutMiddleware, request=0.5, body=0.2, websocket=0.3),
    Middleware(ConcurrencyLimitMiddleware, max_requests=50),
])
seen = []

@app.post("/body")
async def body(request: Request):
    return len(await request.body())

@app.get("/slow")
async def slow():
    try:
        await asyncio.sleep(30)
    finally:
        seen.append("cancelled")

@app.get("/seen")
async def told():
    return seen

@app.websocket("/socket")
async def silent(websocket: WebSocket):
    await websocket.accept()
    try:
        await websocket.receive_text()
    except WebSocketDisconnect as gone:
        seen.append(f"silent {gone.code}")
"""


@pytest.mark.parametrize("server", SERVERS)
def test_what_takes_too_long_ends(server: ServerName) -> None:
    with serve(APP, server) as running, httpx.Client(base_url=running.url, timeout=20) as http:
        assert http.get("/slow").status_code == 504
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as stalled:
            stalled.sendall(b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nten bytes!")
            assert stalled.recv(100).startswith(b"HTTP/1.1 408 ")
        assert http.post("/body", content=b"x" * 100_000).json() == 100_000
        with connect(f"ws://127.0.0.1:{running.port}/socket") as websocket:
            began = time.monotonic()
            with pytest.raises(ConnectionClosed):
                websocket.recv(timeout=10)
            assert time.monotonic() - began < 5
        deadline = time.monotonic() + 5
        while len(seen := http.get("/seen").json()) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert seen == ["cancelled", "silent 1001"]
