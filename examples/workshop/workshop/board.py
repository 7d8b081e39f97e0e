"""The board on the wall: a WebSocket that shows each change as it happens."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession
from velithon import BackgroundTasks, HTTPException, Velithon, WebSocket
from velithon.channels import Room

from workshop.accounts import read_token
from workshop.repairs import Repair, listeners

SECONDS_TO_LOG_IN = 10
POLICY_VIOLATION = 1008


def add_board(app: Velithon) -> None:
    """Add the board to an application."""
    room = Room("board", app.channels)

    def announce(repair: Repair, session: AsyncSession, tasks: BackgroundTasks) -> None:
        """Show a repair on every board, whichever process it is connected to."""
        tasks.add_task(room.broadcast, repair.model_dump_json(include={"id", "bicycle", "state"}))

    listeners.append(announce)

    @app.websocket("/board", heartbeat=30)
    async def board(websocket: WebSocket) -> None:
        """Send changes to whoever sends a token first: browsers can give a WebSocket no header."""
        await websocket.accept()
        try:
            token = await asyncio.wait_for(websocket.receive_text(), SECONDS_TO_LOG_IN)
            mechanic = read_token(token)
        except (TimeoutError, HTTPException):
            await websocket.close(POLICY_VIOLATION)
            return
        async with room.connected(websocket, mechanic.name):
            await websocket.send_json({"hello": mechanic.name})
            async for _ in websocket.iter_text():
                pass  # what a board says is not needed; waiting for it shows when it leaves
