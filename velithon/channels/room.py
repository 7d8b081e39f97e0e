"""Rooms of WebSockets across processes.

Everybody in a room gets what anybody sends to it, whichever process they are connected to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from starlette.websockets import WebSocketDisconnect, WebSocketState

from velithon.channels.base import Channels
from velithon.channels.message import DEFAULT_CAPACITY, ChannelsError, OnFull, SlowSubscriberError, check_channel_name

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from velithon.channels.message import Message
    from velithon.channels.subscription import Subscription

__all__ = ["Room"]

logger = logging.getLogger("velithon.channels")

_TRY_AGAIN_LATER = 1013
_INTERNAL_ERROR = 1011


class Room:
    """A room of WebSockets, over all processes that share the channels.

    Args:
        name: The room's channel. Personal messages go over channels whose names begin with it.
        channels: The channels; those of the WebSocket's application when there are none. A room that sends before
            anybody has connected in this process needs them.
        capacity: How many messages wait for a slow client at most.
        on_full: What happens then: `"drop_oldest"` message, or `"disconnect"` the client (close code 1013).
        replay: How many of the room's last messages a client gets when it connects; needs channels with a history.

    Example:
        ```python
        room = Room("lobby")

        @app.websocket("/ws/{user}")
        async def chat(websocket: WebSocket, user: str):
            async with room.connected(websocket, user):
                async for text in websocket.iter_text():
                    await room.broadcast(f"{user}: {text}")
        ```
    """

    def __init__(
        self,
        name: str,
        channels: Channels | None = None,
        *,
        capacity: int = DEFAULT_CAPACITY,
        on_full: OnFull = "drop_oldest",
        replay: int = 0,
    ) -> None:
        self.name = check_channel_name(name)
        self.capacity = capacity
        self.on_full = on_full
        self.replay = replay
        self._channels = channels
        self._connections: WeakKeyDictionary[WebSocket, asyncio.Task[None]] = WeakKeyDictionary()

    @property
    def channels(self) -> Channels:
        """The channels that the room is over.

        Raises:
            RuntimeError: They were not given, and no WebSocket has connected yet.
        """
        if self._channels is None:
            raise RuntimeError(
                f"The room {self.name!r} does not know its channels before a WebSocket connects: "
                f"make it with Room({self.name!r}, app.channels)."
            )
        return self._channels

    @asynccontextmanager
    async def connected(self, websocket: WebSocket, user_id: str | None = None) -> AsyncIterator[None]:
        """Send a WebSocket the room's messages until the block ends.

        It is accepted first if nobody has.

        A client that leaves ends the block without an exception.

        Args:
            websocket: The connection.
            user_id: Who it is: what `members` tells and `send_personal_message` reaches.
        """
        await self.connect(websocket, user_id)
        try:
            yield
        except WebSocketDisconnect:
            pass
        finally:
            await self.leave(websocket)

    async def connect(self, websocket: WebSocket, user_id: str | None = None) -> None:
        """Send a WebSocket the room's messages until `disconnect`, or until it is gone.

        It is accepted first if nobody has.

        Raises:
            ChannelsUnavailableError: The channels' server cannot be reached.
        """
        if self._channels is None:
            self._channels = websocket.scope["app"].channels
        channels = self.channels
        names = [self.name] if user_id is None else [self.name, self._personal(user_id)]
        subscription = channels.subscribe(
            *names, capacity=self.capacity, on_full=self.on_full, member=None if user_id is None else str(user_id)
        )
        await subscription.__aenter__()
        try:
            last = await channels.history(self.name, limit=self.replay) if self.replay else []
            if websocket.application_state is WebSocketState.CONNECTING:
                await websocket.accept()
        except BaseException:
            await subscription.__aexit__(None, None, None)
            raise
        task = asyncio.get_running_loop().create_task(_forward(subscription, websocket, last))
        self._connections[websocket] = task

    def disconnect(self, websocket: WebSocket, user_id: str | None = None) -> None:
        """Send a WebSocket nothing more.

        `user_id` is there for who has it at hand. It does not close it.
        """
        task = self._connections.pop(websocket, None)
        if task is not None:
            task.cancel()

    async def leave(self, websocket: WebSocket) -> None:
        """Do as `disconnect` does, and return when the member has left."""
        task = self._connections.get(websocket)
        self.disconnect(websocket)
        if task is not None:
            await asyncio.wait((task,))

    async def broadcast(self, message: object) -> None:
        """Send a message to everybody in the room, whichever process they are connected to.

        Args:
            message: Text goes as text, bytes as bytes, anything else as JSON text.

        Raises:
            ChannelsUnavailableError: It is not known whether anybody gets it.
        """
        await self.channels.publish(self.name, message)

    async def send_personal_message(self, message: object, user_id: str) -> None:
        """Send a message to the connections of one user, whichever process they are connected to."""
        await self.channels.publish(self._personal(user_id), message)

    async def members(self) -> list[str]:
        """Return the users in the room, over all processes: sorted, each once."""
        return await self.channels.members(self.name)

    def _personal(self, user_id: str) -> str:
        # What a client calls itself must be no pattern, and no channel of somebody else.
        quoted = "".join(char if char.isalnum() else f"%{ord(char):x}." for char in str(user_id))
        return f"{self.name}/user/{quoted}"


async def _forward(subscription: Subscription, websocket: WebSocket, last: list[Message]) -> None:
    """Send what comes until the client is gone."""
    code = None
    try:
        for message in last:
            await _send(websocket, message)
        async for message in subscription:
            await _send(websocket, message)
    except SlowSubscriberError as error:
        logger.warning("A WebSocket is closed: %s", error)
        code = _TRY_AGAIN_LATER
    except ChannelsError:
        logger.exception("A WebSocket is closed: its channels failed")
        code = _INTERNAL_ERROR
    except (WebSocketDisconnect, RuntimeError):
        # Gone, or closed by the endpoint: whoever receives from it learns it there.
        pass
    finally:
        await subscription.__aexit__(None, None, None)
    if code is not None and websocket.application_state is WebSocketState.CONNECTED:
        await websocket.close(code)


async def _send(websocket: WebSocket, message: Message) -> None:
    if message.payload[:1] == b"b":
        await websocket.send_bytes(message.data)
    else:
        await websocket.send_text(message.text)
