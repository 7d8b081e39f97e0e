"""Reading ahead on servers that are silent about clients that left: nothing is lost, and nobody is left waiting."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.adapters.memory import turn
from tests.servers import SERVERS, ServerName, serve
from velithon.websocket.readahead import WebSocketReadAhead


class Server:
    """A server's side, which would lose a message if its `receive` were cancelled."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[Any] = []
        self.cancelled = 0

    async def receive(self) -> Any:
        try:
            return await self.messages.get()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def put(self, text: str) -> None:
        self.messages.put_nowait({"type": "websocket.receive", "text": text})


@pytest.mark.asyncio
@pytest.mark.parametrize("sends", [False, True])
async def test_who_gives_up_waiting_leaves_the_servers_receive_alone(sends: bool) -> None:
    server = Server()
    ahead = WebSocketReadAhead(server.receive, server.send)
    if sends:
        await ahead.send({"type": "websocket.send", "text": "x"})
    for _ in range(3):
        waiting = asyncio.ensure_future(ahead.receive())
        await turn()
        waiting.cancel()
        again = asyncio.ensure_future(ahead.receive())
        await turn()
        again.cancel()
        await asyncio.wait((waiting, again))
    server.put("a")
    assert (await ahead.receive())["text"] == "a"
    assert server.cancelled == 0
    assert not ahead._waiters
    ahead.stop()


@pytest.mark.asyncio
async def test_tasks_that_wait_get_one_message_each() -> None:
    server = Server()
    ahead = WebSocketReadAhead(server.receive, server.send)
    waiting = [asyncio.ensure_future(ahead.receive()) for _ in range(3)]
    await turn()
    for text in "abc":
        server.put(text)
    assert [(await one)["text"] for one in waiting] == ["a", "b", "c"]


@pytest.mark.asyncio
@pytest.mark.parametrize("ends", ["close", "stop"])
async def test_who_waits_at_the_end_is_told(ends: str) -> None:
    server = Server()
    ahead = WebSocketReadAhead(server.receive, server.send)
    await ahead.send({"type": "websocket.accept"})
    waiting = asyncio.ensure_future(ahead.receive())
    await turn()
    if ends == "close":
        await ahead.send({"type": "websocket.close", "code": 4000, "reason": "enough"})
        expected = {"type": "websocket.disconnect", "code": 4000, "reason": "enough"}
    else:
        ahead.stop()
        expected = {"type": "websocket.disconnect", "code": 1000, "reason": ""}
    assert await waiting == expected == await ahead.receive()
    await turn()
    assert server.cancelled == 1
    with pytest.raises(OSError, match="gone"):
        await ahead.send({"type": "websocket.send", "text": "x"})


@pytest.mark.asyncio
async def test_a_handshake_is_received_after_its_refusal() -> None:
    server = Server()
    server.messages.put_nowait({"type": "websocket.connect"})
    ahead = WebSocketReadAhead(server.receive, server.send)
    await ahead.send({"type": "websocket.close", "code": 1000})
    assert await ahead.receive() == {"type": "websocket.connect"}


APP = """
import asyncio

import anyio

from velithon import Velithon, WebSocket, WebSocketDisconnect

app = Velithon()


@app.websocket("/limits")
async def limits(websocket: WebSocket):
    await websocket.accept()
    got = []
    while len(got) < 20:
        with anyio.move_on_after(0.001) as scope:
            got.append(await websocket.receive_text())
        if not scope.cancelled_caught:
            # Outside: a send that is cancelled may well be lost.
            await websocket.send_text(got[-1])


@app.websocket("/other")
async def other(websocket: WebSocket):
    await websocket.accept()
    first = asyncio.ensure_future(websocket.receive_text())
    await asyncio.sleep(0.01)
    going = asyncio.ensure_future(websocket.send_text("go"))
    first.cancel()
    await websocket.send_text(await websocket.receive_text())
    await going
    waiting = asyncio.ensure_future(websocket.receive_text())
    await asyncio.sleep(0.01)
    await websocket.close()
    try:
        await waiting
    except WebSocketDisconnect as exc:
        print("told of", exc.code, flush=True)


@app.websocket("/cleans-up")
async def cleans_up(websocket: WebSocket):
    await websocket.accept()
    try:
        await websocket.receive_text()
    except WebSocketDisconnect:
        await websocket.close()
        print("cleaned up", flush=True)
"""


@pytest.mark.server
@pytest.mark.parametrize("server", SERVERS)
def test_real_servers(server: ServerName) -> None:
    """No server loses what came while nobody waited."""
    with serve(APP, server) as running:
        base = f"ws://127.0.0.1:{running.port}"
        with connect(f"{base}/limits") as websocket:
            for number in range(20):
                websocket.send(str(number))
                assert websocket.recv(timeout=10) == str(number)
        with connect(f"{base}/other") as websocket:
            assert websocket.recv(timeout=10) == "go"
            websocket.send("a")
            assert websocket.recv(timeout=10) == "a"
            with pytest.raises(ConnectionClosed):
                websocket.recv(timeout=10)
        with connect(f"{base}/cleans-up"):
            pass
        deadline = time.monotonic() + 10
        while "cleaned up" not in running.log or "told of 1000" not in running.log:
            assert time.monotonic() < deadline, running.log
            time.sleep(0.02)
