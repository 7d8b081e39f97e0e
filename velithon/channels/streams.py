"""Channels over Redis with a history.

Each message goes into a stream and, in the same step, to the subscribers.

The stream is what makes sure that nothing is lost. A listener that lost its connection reads from the streams what came
meanwhile; so does a subscriber that asks to begin after a message. Ids only grow, so what comes twice is seen.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from velithon.channels.message import Message, check_channel_name, compile_pattern, encode, is_pattern, parse_id
from velithon.channels.redis import Link, RedisChannels, translate_errors

if TYPE_CHECKING:
    from velithon.channels.subscription import Subscription

__all__ = ["RedisStreamChannels"]

# KEYS: the stream. ARGV: its length, the data, its lifetime in milliseconds, the channel.
_PUBLISH = """
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'd', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], id .. ' ' .. ARGV[2])
return id
"""
_PAGE = 100
# How long a recovery waits for subscribers to make room before it goes on, and they drop what they cannot hold.
_ROOM_SECONDS = 1.0


class RedisStreamChannels(RedisChannels):
    """Channels over Redis or Valkey that keep the last messages of each channel.

    Args:
        url: Such as `redis://localhost:6379/0`, `rediss://` with TLS, or `unix://` with a socket's path.
        history: How many messages of each channel are kept; some more may be (`XADD ... MAXLEN ~`).
        history_seconds: How long the history of a channel is kept after its last message.
        prefix: What all names on the server begin with.
        presence_seconds: How long a member stays in `members` after its process was killed.
        timeout: How long one command may take, in seconds.

    Raises:
        ValueError: A number is not positive.
    """

    keeps_history = True

    def __init__(
        self,
        url: str,
        *,
        history: int = 1000,
        history_seconds: float = 86_400.0,
        prefix: str = "velithon:",
        presence_seconds: float = 30.0,
        timeout: float = 5.0,
    ) -> None:
        if history < 1 or history_seconds <= 0:
            raise ValueError(f"history and history_seconds must be more than 0, not {history}, {history_seconds}.")
        super().__init__(url, prefix=prefix, presence_seconds=presence_seconds, timeout=timeout)
        self.size = history
        self.history_seconds = history_seconds

    def make_link(self) -> StreamLink:
        """Make the connections of a loop."""
        return StreamLink(self)

    async def publish(self, channel: str, data: object) -> str | None:
        """Keep a message and send it to all who are subscribed to a channel.

        Return its id.
        """
        name = check_channel_name(channel)
        link = self.link
        assert isinstance(link, StreamLink)
        arguments: list[int | bytes | str] = [
            self.size,
            encode(data),
            round(self.history_seconds * 1000),
            self.prefix + name,
        ]
        with translate_errors():
            found: bytes = await link.send(keys=[link.key(name)], args=arguments)
        return found.decode()

    async def history(self, channel: str, *, limit: int = 100) -> list[Message]:
        """Return the last messages of a channel, the oldest first."""
        if limit < 1:
            return []
        link = self.link
        assert isinstance(link, StreamLink)
        with translate_errors():
            found: Any = await link.client.xrevrange(link.key(check_channel_name(channel)), count=limit)
        return [_build_message(channel, entry) for entry in reversed(found)]

    async def replay(self, channel: str, after: str, limit: int) -> list[Message]:
        """Return at most `limit` messages after an id, the oldest first."""
        link = self.link
        assert isinstance(link, StreamLink)
        with translate_errors():
            return await link.read(channel, after, limit)


class StreamLink(Link):
    """The connections of one event loop, and how far each channel was read."""

    def __init__(self, channels: RedisStreamChannels) -> None:
        super().__init__(channels)
        self.send = self.client.register_script(_PUBLISH)
        self._last: dict[str, tuple[int, int]] = {}
        # Patterns -> from when on channels count that nothing came from yet.
        self._since: dict[str, tuple[int, int]] = {}

    def key(self, channel: str) -> str:
        """Return the name of a channel's stream."""
        return f"{self.prefix}stream:{channel}"

    async def read(self, channel: str, after: str, limit: int) -> list[Message]:
        """Return at most `limit` messages after an id."""
        found: Any = await self.client.xrange(self.key(channel), min=f"({after}", count=limit)
        return [_build_message(channel, entry) for entry in found]

    async def before_subscribe(self, names: list[str]) -> None:
        """Note where each channel is now: a lost connection is recovered from there."""
        with translate_errors():
            for name in names:
                if is_pattern(name):
                    seconds, _ = await self.client.time()
                    self._since[name] = (seconds * 1000, 0)
                elif name not in self._last:
                    newest: Any = await self.client.xrevrange(self.key(name), count=1)
                    self._last[name] = parse_id(newest[0][0].decode()) if newest else (0, 0)

    def forget(self, name: str) -> None:
        """Forget how far a channel was read."""
        self._since.pop(name, None)
        if is_pattern(name):
            gone = [channel for channel in self._last if not self.hub.matching(channel)]
            for channel in gone:
                del self._last[channel]
        elif not self.hub.matching(name):
            self._last.pop(name, None)

    def dispatch(self, channel: str, pattern: str | None, data: bytes) -> None:
        """Give subscribers a message the first time that it comes."""
        found, _, payload = data.partition(b" ")
        self._deliver(Message(channel, payload, found.decode()))

    def _deliver(self, message: Message) -> None:
        assert message.id is not None
        number = parse_id(message.id)
        if number <= self._last.get(message.channel, (0, 0)):
            return
        subscriptions = self.hub.matching(message.channel)
        if subscriptions:
            self._last[message.channel] = number
        for subscription in subscriptions:
            subscription.deliver(message)

    async def recover(self) -> None:
        """Give subscribers what came into the streams since the last message that they got."""
        channels = {name: self._last.get(name, (0, 0)) for name in list(self.hub.exact)}
        for pattern, since in list(self._since.items()):
            for channel in await self._list_matching(pattern):
                channels.setdefault(channel, max(since, self._last.get(channel, (0, 0))))
        for channel, last in channels.items():
            after = f"{last[0]}-{last[1]}"
            while page := await self.read(channel, after, _PAGE):
                await self._room(self.hub.matching(channel))
                for message in page:
                    self._deliver(message)
                after = page[-1].id or after

    async def _list_matching(self, pattern: str) -> list[str]:
        start, regex = self.key(""), compile_pattern(pattern)
        found = []
        async for key in self.client.scan_iter(match=f"{start}*", count=1000):
            channel = key.decode().removeprefix(start)
            if regex.fullmatch(channel):
                found.append(channel)
        return found

    async def _room(self, subscriptions: list[Subscription]) -> None:
        """Wait until a page fits into the queues, as long as subscribers may take to make room."""
        end = asyncio.get_running_loop().time() + _ROOM_SECONDS
        while any(found.backlog and found.backlog + _PAGE > found.capacity for found in subscriptions):
            if asyncio.get_running_loop().time() > end:
                return
            await asyncio.sleep(0.005)


def _build_message(channel: str, entry: tuple[bytes, dict[bytes, bytes]]) -> Message:
    return Message(channel, entry[1][b"d"], entry[0].decode())
