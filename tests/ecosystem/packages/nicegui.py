"""Pages in Python beside endpoints: a page renders, its WebSocket connects, and a click changes it."""
# /// script
# dependencies = ["nicegui", "python-socketio[asyncio_client]"]
# ///

import asyncio
import json
import re
from urllib.parse import urlencode

import httpx2
import pytest
import socketio
from fastapi import FastAPI
from nicegui import ui

from tests.ecosystem.plugin import Servers

app = FastAPI()


@app.get("/items/{number}")
async def read(number: int):
    return {"number": number}


@ui.page("/counter/{start}")
def counter(start: int):
    label = ui.label(f"at {start}")
    ui.button("more", on_click=lambda: label.set_text("clicked"))


ui.run_with(app, mount_path="/ui", storage_secret="a secret of this test")


def told(page: str, pattern: str) -> str:
    found = re.search(pattern, page)
    assert found is not None, page
    return found[1]


@pytest.mark.anyio
async def test_a_page_lives(server: Servers) -> None:
    with server() as running:
        async with httpx2.AsyncClient(base_url=running.url) as http:
            assert (await http.get("/items/3")).json() == {"number": 3}
            page = (await http.get("/ui/counter/5")).text
            script = told(page, r'<script defer src="(/ui/_nicegui/[^"]+/nicegui.js)">')
            assert (await http.get(script)).headers["content-type"].startswith("text/javascript")
            assert (await http.get("/ui/nothing")).status_code == 404
        elements = json.loads(told(page, r"parseElements\(String\.raw`(.*)`\)"))
        label = next(number for number, element in elements.items() if element.get("text") == "at 5")
        number, button = next(item for item in elements.items() if item[1].get("props", {}).get("label") == "more")
        client_id = told(page, r"'client_id': '([^']+)'")
        ids = {"client_id": client_id, "tab_id": "the tab", "document_id": "the document"}
        query = urlencode({**ids, "next_message_id": 0, "implicit_handshake": "true"})
        changes = asyncio.Queue()
        browser = socketio.AsyncClient(reconnection=False)
        browser.on("update", changes.put)
        await browser.connect(
            f"{running.url}?{query}", socketio_path="/ui/_nicegui_ws/socket.io", transports=["websocket"]
        )
        try:
            click = {"id": int(number), "client_id": client_id, "listener_id": button["events"][0]["listener_id"]}
            await browser.emit("event", {**click, "args": []})
            change = await asyncio.wait_for(changes.get(), 20)
            assert change[label]["text"] == "clicked"
        finally:
            await browser.disconnect()
