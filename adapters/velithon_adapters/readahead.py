"""Reads messages ahead of an application.

There is one outstanding receive, which is never cancelled while the connection lives.

Servers tell of a client that left through ``receive`` alone, and only to who asks. So somebody has to ask while the
application does something else, and what comes then belongs to whoever reads next. What servers do makes this delicate:

- A receive that is cancelled may take a message along (Granian, both interfaces).
- Granian's ASGI interface answers the second of two receives that are outstanding at once, and the one after a receive
  that was cancelled, with ``http.disconnect``.
- What its ``receive`` returns looks like a future but calls one callback only: of two tasks that await it, one waits
  for ever.
- It closes no WebSocket connection while a receive is outstanding.

Therefore `ReadAhead` is the only caller of the server's ``receive``. It has at most one call outstanding and adds one
callback to it, which keeps the message and wakes all waiters. Each waiter awaits a future of its own, so that one that
is cancelled changes nothing for the server or for the others. Only `close` and `release` cancel the server's receive,
and who calls them ends the connection.

It asks when a reader waits, and after `watch` whenever there is room. The room is bounded in messages and in bytes. The
last part of a body takes no room: nothing but the end of the connection can come after it. A message that ends the
connection is not queued but kept as `ReadAhead.ended`: it is known before the messages in front of it are read, and
every receive after them returns it again.

Policies on top of this say when to watch and when to close: `velithon_adapters.protocol.RSGIProtocol` here, and in a
framework whatever polls for a disconnect, shares a body between two readers or keeps a WebSocket alive.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from velithon_adapters.asgi import Message, Receive

__all__ = ["ReadAhead"]


class ReadAhead:
    """A server's ``receive`` for several readers, asked ahead of them on request.

    Args:
        receive: The server's.
        messages: How many unread messages are held.
        size: How many bytes of unread bodies are held; reading ahead stops once there are as many.

    Attributes:
        ended: The message that ended the connection, once it came or `close` gave it.
    """

    __slots__ = ("_asked", "_held", "_messages", "_receive", "_size", "_unread", "_waiters", "_watching", "ended")

    def __init__(self, receive: Receive, *, messages: int = 1, size: int = 1024 * 1024) -> None:
        self.ended: Message | None = None
        self._receive = receive
        self._messages = messages
        self._size = size
        self._held: deque[Message | BaseException] = deque()
        # Bytes of bodies in `_held`.
        self._unread = 0
        self._asked: asyncio.Future[Message] | None = None
        self._watching = False
        self._waiters: list[asyncio.Future[None]] = []

    async def receive(self) -> Message:
        """Return the next message; after the end, the one that ended the connection.

        Raises:
            Exception: What the server's receive raised, once.
        """
        while not self._held:
            if self.ended is not None:
                return self.ended
            self._ask()
            self.collect()
            if not self._held and self.ended is None:
                await self._wait_for_change()
        item = self._held.popleft()
        if isinstance(item, BaseException):
            try:
                raise item
            finally:
                # An exception whose traceback's frame holds it is a reference cycle.
                del item
        self._unread -= len(item.get("body") or b"")
        if self._watching:
            self._ask()
        return item

    def watch(self) -> None:
        """Read ahead from now on, whenever there is room."""
        self._watching = True
        self._ask()

    async def wait_until_ended(self) -> Message:
        """Watch until the connection ends; return the message that ended it.

        An unread body may hide the end: no more of it is read ahead than there is room for.
        """
        self.watch()
        while self.ended is None:
            await self._wait_for_change()
        return self.ended

    def collect(self) -> None:
        """Keep a message that has arrived: its callback runs only in the loop's next turn."""
        asked = self._asked
        if asked is not None and asked.done():
            self._keep(asked)

    @property
    def has_room(self) -> bool:
        """Whether another message would be held."""
        held = self._held
        if not held:
            return True
        last = held[-1]
        if isinstance(last, BaseException):
            return False
        if last["type"] == "http.request" and not last.get("more_body", False):
            return True
        return len(held) < self._messages and self._unread < self._size

    def close(self, last: Message) -> None:
        """Cancel the server's receive, because the connection is over.

        Readers that wait get `last`, unless the connection had ended before.
        """
        self.collect()
        if self.ended is None:
            self.ended = last
        self._watching = False
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.cancel()
        self._wake()

    async def release(self) -> None:
        """Cancel the server's receive and wait for that, so that the server closes the connection."""
        self._watching = False
        self.collect()
        asked = self._asked
        if asked is not None:
            asked.cancel()
            self.collect()
            while asked is self._asked:
                await self._wait_for_change()
        self._wake()

    def _inspect_message(self, message: Message) -> bool:
        """Look at a message as it arrives; return whether a reader gets it."""
        return True

    def _ask(self) -> None:
        if self._asked is None and self.ended is None and self.has_room:
            asked = self._asked = asyncio.ensure_future(self._receive())
            asked.add_done_callback(self._keep)

    def _keep(self, asked: asyncio.Future[Message]) -> None:
        cancelled = asked.cancelled()
        # Also of a receive that nobody waits for any more, or asyncio would log that nobody looked.
        failure = None if cancelled else asked.exception()
        if asked is not self._asked:
            return
        self._asked = None
        if cancelled:
            # By `release`, or by a loop that ends: the next reader asks anew.
            self._watching = False
        elif failure is not None:
            self._held.append(failure)
        else:
            self._take(asked.result())
        if self._watching:
            self._ask()
        self._wake()

    def _take(self, message: Message) -> None:
        is_kept = self._inspect_message(message)
        if message["type"].endswith(".disconnect"):
            self.ended = message
        elif is_kept:
            self._held.append(message)
            self._unread += len(message.get("body") or b"")

    async def _wait_for_change(self) -> None:
        """Wait until a message arrives or the connection ends."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
