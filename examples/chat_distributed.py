"""The chat in one room over any number of workers and machines, which meet in Redis.

    redis-server &
    REDIS_URL=redis://localhost:6379 velithon run examples/chat_distributed.py:app --workers 2

Without REDIS_URL it is a chat of one process. Who comes back gets what it missed: the page keeps the last id.
`docker compose --file examples/chat_distributed.compose.yaml up --build` starts two machines and a Redis.
"""

import os
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError
from velithon import Header, Query, Velithon, WebSocket
from velithon.channels import Room, channels_from_url
from velithon.responses import EventSourceResponse, HTMLResponse

app = Velithon(title="Chat", channels=channels_from_url(os.environ.get("REDIS_URL", "memory://"), history=1_000))
room = Room("lobby", app.channels, capacity=200, on_full="disconnect", replay=20)


class Remark(BaseModel):
    """What a member sends."""

    text: Annotated[str, Field(min_length=1, max_length=2_000)]


class Heard(BaseModel):
    """What everybody in the room hears."""

    kind: Literal["joined", "said", "left"]
    who: str
    text: str = ""


@app.websocket("/chat")
async def chat(websocket: WebSocket, name: Annotated[str, Query(min_length=1, max_length=40)] = "guest") -> None:
    """Let a member in, pass on what it says, and announce both ends."""
    async with room.connected(websocket, name):
        await room.broadcast(Heard(kind="joined", who=name))
        try:
            async for text in websocket.iter_text():
                try:
                    remark = Remark.model_validate_json(text)
                except ValidationError as error:
                    await websocket.send_json({"kind": "refused", "who": name, "text": error.errors()[0]["msg"]})
                    continue
                await room.broadcast(Heard(kind="said", who=name, text=remark.text))
        finally:
            await room.broadcast(Heard(kind="left", who=name))


@app.get("/members")
async def members() -> list[str]:
    """Tell who is in the room, whichever worker they are connected to."""
    return await room.members()


@app.get("/log")
async def log(last_event_id: Annotated[str | None, Header()] = None) -> EventSourceResponse:
    """Stream the room to who only reads; a browser that lost its connection continues where it was."""
    return EventSourceResponse(app.channels.events("lobby", last_event_id=last_event_id))


# What others write reaches the page as text, never as markup.
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Chat</title>
<h1>Chat</h1>
<form><input aria-label="Message" maxlength="2000" autocomplete="off" required> <button>Send</button></form>
<ol role="log" aria-label="Messages"></ol>
<script>
  const address = new URL("chat" + location.search, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  socket.addEventListener("message", ({ data }) => {
    const { kind, who, text } = JSON.parse(data);
    const line = document.createElement("li");
    line.textContent = kind === "said" ? `${who}: ${text}` : `${who} ${kind} ${text}`;
    document.querySelector("ol").prepend(line);
  });
  document.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const box = document.querySelector("input");
    socket.send(JSON.stringify({ text: box.value }));
    box.value = "";
  });
</script>
"""


@app.get("/", include_in_schema=False)
async def page() -> HTMLResponse:
    """Show the room; `?name=ada` gives a name."""
    return HTMLResponse(PAGE)
