"""A chat in one room: open the page in two windows.

Start it with `make run APP=examples/chat.py:app`. The members are those of one process: a room that spans several
workers needs a channel between them.
"""

import asyncio
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError
from velithon import Query, Velithon, WebSocket, WebSocketDisconnect, WebSocketEndpoint
from velithon.responses import HTMLResponse

MAX_MEMBERS = 1_000

app = Velithon(title="Chat")


class Remark(BaseModel):
    """What a member sends."""

    text: Annotated[str, Field(min_length=1, max_length=2_000)]


class Event(BaseModel):
    """What everybody in the room hears."""

    kind: Literal["joined", "said", "left", "refused"]
    who: str
    text: str = ""


class Room:
    """The members who hear each other."""

    def __init__(self) -> None:
        self.members: set[WebSocket] = set()

    async def tell_everybody(self, event: Event) -> None:
        """Send an event to all members at once, so that a slow one keeps nobody else waiting."""
        text = event.model_dump_json()
        await asyncio.gather(*(self._tell(member, text) for member in list(self.members)))

    async def _tell(self, member: WebSocket, text: str) -> None:
        try:
            await member.send_text(text)
        except WebSocketDisconnect:  # it left; its own endpoint announces that
            self.members.discard(member)


room = Room()


@app.websocket_route("/chat")
class Member(WebSocketEndpoint):
    """One member: an instance is made for each connection."""

    encoding = "text"
    name = ""

    async def on_connect(
        self, websocket: WebSocket, name: Annotated[str, Query(min_length=1, max_length=40)] = "guest"
    ) -> None:
        """Let a member in and announce it."""
        if len(room.members) >= MAX_MEMBERS:
            await websocket.close()  # before accept: the handshake is refused
            return
        await websocket.accept()
        self.name = name
        room.members.add(websocket)
        await room.tell_everybody(Event(kind="joined", who=name))

    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        """Pass a remark on, or say why not."""
        try:
            remark = Remark.model_validate_json(data)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            await websocket.send_text(Event(kind="refused", who=self.name, text=problem).model_dump_json())
            return
        await room.tell_everybody(Event(kind="said", who=self.name, text=remark.text))

    async def on_disconnect(self, websocket: WebSocket) -> None:
        """Announce that a member left, unless it never got in."""
        if self.name:
            room.members.discard(websocket)
            await room.tell_everybody(Event(kind="left", who=self.name))


# What others write reaches the page as text, never as markup: the script sets `textContent` only.
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Chat</title>
<link rel="icon" href="data:,">
<style>
  body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
  form { display: flex; gap: .5rem } input { flex: 1; font: inherit; padding: .4rem } button { font: inherit }
</style>
<h1>Chat</h1>
<form><input aria-label="Message" maxlength="2000" autocomplete="off" required> <button>Send</button></form>
<ol role="log" aria-label="Messages"></ol>
<script>
  const address = new URL("chat" + location.search, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  const show = (text) => {
    const line = document.createElement("li");
    line.textContent = text;
    document.querySelector("ol").prepend(line);
  };
  socket.addEventListener("message", ({ data }) => {
    const { kind, who, text } = JSON.parse(data);
    show(kind === "said" ? `${who}: ${text}` : `${who} ${kind} ${text}`);
  });
  socket.addEventListener("close", () => show("The connection is closed."));
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
