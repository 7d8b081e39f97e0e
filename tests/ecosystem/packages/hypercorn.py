"""The application on another server: requests, a lifespan, streams and WebSockets."""
# /// script
# dependencies = ["hypercorn"]
# [tool.ecosystem]
# protocols = ["asgi"]
# ///

import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from hypercorn.asyncio import serve
from hypercorn.config import Config
from websockets.asyncio.client import connect

from tests.servers import free_port

begun = []


@asynccontextmanager
async def lifespan(app: FastAPI):
    begun.append("begun")
    yield {"word": "from the lifespan"}
    begun.append("ended")


app = FastAPI(lifespan=lifespan)


@app.post("/items/{item}")
async def create(item: int, body: dict[str, int], request: Request):
    return {"item": item, "body": body, "word": request.state.word}


@app.get("/stream")
async def stream():
    async def parts():
        for number in range(100):
            yield f"{number} "

    return StreamingResponse(parts())


@app.websocket("/ws")
async def echo(websocket: WebSocket):
    await websocket.accept("echo")
    async for text in websocket.iter_text():
        await websocket.send_text(text)


@asynccontextmanager
async def served():
    config, end = Config(), asyncio.Event()
    with free_port() as port:
        config.bind = [f"127.0.0.1:{port}"]
        task = asyncio.create_task(serve(app, config, shutdown_trigger=end.wait))
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except OSError:
                    await asyncio.sleep(0.05)
            writer.close()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            end.set()
            await task


@pytest.mark.anyio
async def test_it_serves_the_application() -> None:
    begun.clear()
    async with served() as address:
        async with httpx2.AsyncClient(base_url=f"http://{address}") as http:
            answer = await http.post("/items/3", json={"a": 1})
            assert answer.json() == {"item": 3, "body": {"a": 1}, "word": "from the lifespan"}
            assert (await http.get("/stream")).text.split() == [str(number) for number in range(100)]
            assert (await http.get("/nowhere")).status_code == 404
        async with connect(f"ws://{address}/ws", subprotocols=["echo"]) as websocket:
            assert websocket.subprotocol == "echo"
            await websocket.send("hello")
            assert await websocket.recv() == "hello"
    assert begun == ["begun", "ended"]
