"""The guide's chat: open the page in two windows.

Start it with `make run APP=examples/chat.py:app`. The code is the guide's own, word for word, so it is exempt from
what this repository asks of its own: docs/examples.md says what to write differently in an application that lasts.
"""
# fmt: off
# mypy: disable-error-code="no-untyped-call, no-untyped-def, override"
# ruff: noqa: E722, F401, I001, UP006, UP035

from velithon import Velithon, WebSocket
from velithon.websocket import WebSocketDisconnect, WebSocketEndpoint
from velithon.responses import HTMLResponse
import json
from typing import List

class ConnectionManager:
    def __init__(self):
        self.active_connections: List[WebSocket] = []

    async def connect(self, websocket: WebSocket):
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: WebSocket):
        if websocket in self.active_connections:
            self.active_connections.remove(websocket)

    async def broadcast(self, message: str):
        for connection in self.active_connections:
            try:
                await connection.send_text(message)
            except:
                self.disconnect(connection)

manager = ConnectionManager()

app = Velithon()

class ChatEndpoint(WebSocketEndpoint):
    async def on_connect(self, websocket: WebSocket):
        await manager.connect(websocket)
        await manager.broadcast(json.dumps({
            "type": "user_joined",
            "message": f"User {websocket.client} joined the chat"
        }))

    async def on_receive(self, websocket: WebSocket, data: str):
        message_data = json.loads(data)
        response = {
            "type": "message",
            "user": str(websocket.client),
            "message": message_data.get("message", "")
        }
        await manager.broadcast(json.dumps(response))

    async def on_disconnect(self, websocket: WebSocket):
        manager.disconnect(websocket)
        await manager.broadcast(json.dumps({
            "type": "user_left",
            "message": f"User {websocket.client} left the chat"
        }))

app.add_websocket_route("/ws/chat", ChatEndpoint)

@app.get("/")
async def chat_page():
    return HTMLResponse("""
    <!DOCTYPE html>
    <html>
    <head>
        <title>Velithon Chat</title>
    </head>
    <body>
        <div id="messages"></div>
        <input type="text" id="messageInput" placeholder="Type a message...">
        <button onclick="sendMessage()">Send</button>

        <script>
            const ws = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws/chat");
            const messages = document.getElementById("messages");

            ws.onmessage = function(event) {
                const data = JSON.parse(event.data);
                const div = document.createElement("div");
                div.innerHTML = `<strong>${data.type}:</strong> ${data.message}`;
                messages.appendChild(div);
            };

            function sendMessage() {
                const input = document.getElementById("messageInput");
                ws.send(JSON.stringify({message: input.value}));
                input.value = "";
            }

            document.getElementById("messageInput").addEventListener("keypress", function(e) {
                if (e.key === "Enter") {
                    sendMessage();
                }
            });
        </script>
    </body>
    </html>
    """)
