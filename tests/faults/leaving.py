"""An application that counts who began, who read a whole body and who was closed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any

from tests.faults.app import held
from velithon import Request, UploadFile, Velithon, WebSocket, WebSocketEndpoint
from velithon.params import Body, Form
from velithon.responses import EventSourceResponse, StreamingResponse

app = Velithon()
app.get("/held")(held)

COUNTS: Counter[str] = Counter()


@app.get("/counts")
async def counts() -> dict[str, int]:
    return dict(COUNTS)


@app.post("/upload")
async def upload(file: UploadFile, note: Annotated[str, Form()] = "") -> None:
    COUNTS["whole"] += 1


@app.post("/body")
async def body(request: Request) -> None:
    await request.body()
    COUNTS["whole"] += 1


@app.post("/read")
async def read(request: Request) -> None:
    async for _ in request.stream():
        pass
    COUNTS["whole"] += 1


@app.post("/json")
async def json(value: Annotated[Any, Body()]) -> None:
    COUNTS["whole"] += 1


async def chunks(pause: float, count: int) -> AsyncIterator[bytes]:
    """Yield `count` chunks with pauses, and then nothing for ever."""
    COUNTS["opened"] += 1
    try:
        for _ in range(count):
            yield b"x" * 4096
            await asyncio.sleep(pause)
        await asyncio.Event().wait()
    finally:
        COUNTS["closed"] += 1


@app.get("/chunks")
async def stream() -> StreamingResponse:
    return StreamingResponse(chunks(0.01, 100_000))


@app.get("/silent")
async def silent() -> StreamingResponse:
    return StreamingResponse(chunks(0, 1))


@app.get("/events")
async def events() -> EventSourceResponse:
    async def numbers() -> AsyncIterator[Any]:
        async for _ in chunks(0.02, 100_000):
            yield {"number": 1}

    return EventSourceResponse(numbers())


@app.websocket("/ws")
class Session(WebSocketEndpoint):
    encoding = "text"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        COUNTS["opened"] += 1

    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        await websocket.send_text(data)

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        COUNTS["closed"] += 1


@app.websocket("/ws/talking")
async def talking(websocket: WebSocket) -> None:
    await websocket.accept()
    COUNTS["opened"] += 1
    try:
        while True:
            await websocket.send_text("x" * 1000)
            await asyncio.sleep(0.01)
    finally:
        COUNTS["closed"] += 1
