"""Channels in this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, OrderedDict, deque
from itertools import islice
from typing import TYPE_CHECKING, TypeVarTuple, Unpack

from velithon.channels.base import Channels
from velithon.channels.message import ChannelsError, Message, check_channel_name, encode, parse_id
from velithon.channels.subscription import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from velithon.channels.subscription import Subscription

__all__ = ["MemoryChannels"]

Ts = TypeVarTuple("Ts")

_MAX_CHANNELS = 10_000


class MemoryChannels(Channels):
    """Channels of one process.

    Event loops of several threads, as test clients have, may share them.

    Args:
        history: How many messages of each channel are kept; 0 keeps none. Of more than 10,000 channels, those that were
            not published to for the longest are forgotten.

    Raises:
        ValueError: `history` is negative.
    """

    def __init__(self, *, history: int = 0) -> None:
        if history < 0:
            raise ValueError(f"history is a number of messages, not {history!r}.")
        self.keeps_history = history > 0
        self._size = history
        self._kept: OrderedDict[str, deque[Message]] = OrderedDict()
        self._hub = Hub()
        self._members: dict[str, Counter[str]] = {}
        self._last = (0, 0)
        # Threads with loops of their own publish and subscribe at the same time.
        self._lock = threading.Lock()

    async def publish(self, channel: str, data: object) -> str | None:
        """Send a message to all who are subscribed to a channel."""
        message = Message(check_channel_name(channel), encode(data))
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._size:
                self._keep(message)
            for subscription in self._hub.matching(channel):
                if subscription.loop is loop:
                    subscription.deliver(message)
                else:
                    _call_in(subscription.loop, subscription.deliver, message)
        return message.id

    def _keep(self, message: Message) -> None:
        now = time.time_ns() // 1_000_000
        milliseconds, number = self._last
        self._last = (now, 0) if now > milliseconds else (milliseconds, number + 1)
        message.id = f"{self._last[0]}-{self._last[1]}"
        self._kept.setdefault(message.channel, deque(maxlen=self._size)).append(message)
        self._kept.move_to_end(message.channel)
        if len(self._kept) > _MAX_CHANNELS:
            self._kept.popitem(last=False)

    async def history(self, channel: str, *, limit: int = 100) -> list[Message]:
        """Return the last messages of a channel, the oldest first."""
        if not self._size:
            raise ChannelsError("These channels keep no history: make them with history=, the number of messages.")
        with self._lock:
            return list(self._kept.get(check_channel_name(channel), ()))[-limit:] if limit > 0 else []

    async def replay(self, channel: str, after: str, limit: int) -> list[Message]:
        """Return at most `limit` messages after an id, the oldest first."""
        start = parse_id(after)
        with self._lock:
            kept = self._kept.get(channel, ())
            return list(islice((message for message in kept if parse_id(message.id or "0") > start), limit))

    async def members(self, channel: str) -> list[str]:
        """Return who is in a channel: sorted, each once."""
        with self._lock:
            return sorted(self._members.get(check_channel_name(channel), ()))

    async def open(self, subscription: Subscription) -> None:
        """Let a subscription get what is published from here on."""
        with self._lock:
            self._hub.add(subscription)
            if subscription.member is not None:
                for name in subscription.exact:
                    self._members.setdefault(name, Counter())[subscription.member] += 1

    async def close(self, subscription: Subscription) -> None:
        """Let a subscription get nothing more, and its member leave."""
        with self._lock:
            if subscription not in self._hub.subscriptions_of(subscription.names[0]):
                return
            self._hub.remove(subscription)
            if subscription.member is None:
                return
            for name in subscription.exact:
                counter = self._members[name]
                counter[subscription.member] -= 1
                if not counter[subscription.member]:
                    del counter[subscription.member]
                if not counter:
                    del self._members[name]

    async def aclose(self) -> None:
        """End all subscriptions; the history stays."""
        with self._lock:
            found = self._hub.subscriptions()
        for subscription in found:
            _call_in(subscription.loop, subscription.end)


def _call_in(loop: asyncio.AbstractEventLoop | None, call: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
    """Make a call in the loop of another thread, unless it has ended."""
    try:
        if loop is not None:
            loop.call_soon_threadsafe(call, *args)
    except RuntimeError:  # closed: nobody is left to tell
        pass
