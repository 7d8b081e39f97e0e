"""Channels over Redis's publish and subscribe, for every process that reaches the same server.

A process has one connection that listens, whatever the number of its subscribers. When the connection is lost, the
listener makes another and subscribes to everything anew; what was published meanwhile is gone, unless the channels keep
a history (`velithon.channels.streams`). An event loop has connections of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict
from weakref import WeakKeyDictionary

from velithon.channels.base import Channels
from velithon.channels.message import (
    ChannelsError,
    ChannelsUnavailableError,
    Message,
    check_channel_name,
    encode,
    is_pattern,
)
from velithon.channels.presence import Presence
from velithon.channels.subscription import Hub, Subscription

try:
    import redis.asyncio as redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as RedisTimeoutError
except ImportError as error:  # pragma: no cover - the extra is installed where tests run
    raise ImportError('Channels over Redis need the package redis: pip install "velithon[redis]"') from error

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

    class PubSubMessage(TypedDict):
        """A message as redis-py gives it."""

        type: str
        channel: bytes
        pattern: bytes | None
        data: bytes


__all__ = ["Link", "RedisChannels"]

logger = logging.getLogger("velithon.channels")

_IDLE_SECONDS = 15.0
_LONGEST_WAIT = 2.0


class RedisChannels(Channels):
    """Channels over Redis or Valkey, without a history.

    A client that is not subscribed misses what is published.

    Args:
        url: Such as `redis://localhost:6379/0`, `rediss://` with TLS, or `unix://` with a socket's path.
        prefix: What all names on the server begin with. Channels with different prefixes know nothing of each other.
        presence_seconds: How long a member stays in `members` after its process was killed.
        timeout: How long one command may take, in seconds.

    Raises:
        ValueError: A number is not positive.
    """

    def __init__(
        self, url: str, *, prefix: str = "velithon:", presence_seconds: float = 30.0, timeout: float = 5.0
    ) -> None:
        if presence_seconds <= 0 or timeout <= 0:
            raise ValueError(f"presence_seconds and timeout must be more than 0, not {presence_seconds}, {timeout}.")
        self.url = url
        self.prefix = prefix
        self.presence_seconds = presence_seconds
        self.timeout = timeout
        self._links: WeakKeyDictionary[asyncio.AbstractEventLoop, Link] = WeakKeyDictionary()

    @property
    def link(self) -> Link:
        """The connections of the running loop."""
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is None:
            link = self._links[loop] = self.make_link()
        return link

    def make_link(self) -> Link:
        """Make the connections of a loop."""
        return Link(self)

    async def publish(self, channel: str, data: object) -> str | None:
        """Send a message to all who are subscribed to a channel."""
        name = self.prefix + check_channel_name(channel)
        payload = encode(data)
        with translate_errors():
            await self.link.client.publish(name, payload)
        return None

    async def history(self, channel: str, *, limit: int = 100) -> list[Message]:
        """Raise: what was published is not kept."""
        raise ChannelsError("These channels keep no history: make them with history=, the number of messages.")

    async def replay(self, channel: str, after: str, limit: int) -> list[Message]:
        """Raise: what was published is not kept."""
        return await self.history(channel)

    async def members(self, channel: str) -> list[str]:
        """Return who is in a channel, over all processes: sorted, each once."""
        with translate_errors():
            return await self.link.presence.members(check_channel_name(channel))

    async def open(self, subscription: Subscription) -> None:
        """Let a subscription get what is published from here on."""
        await self.link.open(subscription)

    async def close(self, subscription: Subscription) -> None:
        """Let a subscription get nothing more, and its member leave."""
        await self.link.close(subscription)

    async def aclose(self) -> None:
        """End the subscriptions of the running loop and its connections."""
        link = self._links.pop(asyncio.get_running_loop(), None)
        if link is not None:
            await link.aclose()


class Link:
    """The connections of one event loop: one that listens, and some for commands."""

    def __init__(self, channels: RedisChannels) -> None:
        self.prefix = channels.prefix
        self.timeout = channels.timeout
        self.client = redis.Redis.from_url(
            channels.url,
            socket_timeout=channels.timeout,
            socket_connect_timeout=channels.timeout,
            socket_keepalive=True,
            # A command that was sent may have been carried out: to repeat it could publish a message twice.
            retry=Retry(NoBackoff(), 0),
        )
        self.hub = Hub()
        self.presence = Presence(self.client, channels.prefix, channels.presence_seconds)
        self._control = f"{channels.prefix}\0control"
        self._confirmed: dict[str, asyncio.Future[None]] = {}
        self._pubsub: PubSub | None = None
        self._listener: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def open(self, subscription: Subscription) -> None:
        """Add a subscription; return when the server has confirmed it.

        Raises:
            ChannelsUnavailableError: It did not within the time.
        """
        if self._listener is None:
            self._listener = asyncio.get_running_loop().create_task(self._listen())
        try:
            async with asyncio.timeout(self.timeout):
                await self._subscribe(subscription)
                if subscription.member is not None:
                    with translate_errors():
                        await self.presence.join(subscription, subscription.member)
        except TimeoutError as error:
            raise ChannelsUnavailableError(f"Redis did not confirm a subscription within {self.timeout} s.") from error

    async def _subscribe(self, subscription: Subscription) -> None:
        async with self._lock:
            new = [name for name in subscription.names if not self.hub.subscriptions_of(name)]
            await self.before_subscribe(new)
            self.hub.add(subscription)
            waits = [self._confirmed.setdefault(name, asyncio.get_running_loop().create_future()) for name in new]
            if self._pubsub is not None and new:
                # A listener without a connection subscribes to all names of the hub when it has one.
                try:
                    await self._send(self._pubsub, new)
                except (RedisError, OSError):
                    logger.debug("A subscription is sent again with the next connection.", exc_info=True)
        if waits:
            await asyncio.wait(waits)

    async def before_subscribe(self, names: list[str]) -> None:
        """Note what must be known from before a subscription."""

    async def _send(self, pubsub: PubSub, names: list[str]) -> None:
        exact = [self.prefix + name for name in names if not is_pattern(name)]
        patterns = [_escape(self.prefix) + name for name in names if is_pattern(name)]
        if exact:
            await pubsub.subscribe(*exact)
        if patterns:
            await pubsub.psubscribe(*patterns)

    async def close(self, subscription: Subscription) -> None:
        """Remove a subscription, on the server too when it was the last under a name."""
        async with self._lock:
            unused = self.hub.remove(subscription)
            for name in unused:
                future = self._confirmed.pop(name, None)
                if future is not None:
                    future.cancel()
                self.forget(name)
            try:
                async with asyncio.timeout(self.timeout):
                    await self._unsubscribe(unused)
                    await self.presence.leave(subscription)
            except (RedisError, OSError, TimeoutError):
                # The server forgets the connection, or the member's time runs out.
                logger.debug("Redis was not told that a subscription ended.", exc_info=True)

    async def _unsubscribe(self, names: list[str]) -> None:
        if self._pubsub is None or not self._pubsub.connection:
            return
        exact = [self.prefix + name for name in names if not is_pattern(name)]
        patterns = [_escape(self.prefix) + name for name in names if is_pattern(name)]
        if exact:
            await self._pubsub.unsubscribe(*exact)
        if patterns:
            await self._pubsub.punsubscribe(*patterns)

    def forget(self, name: str) -> None:
        """Forget what was known of a name that nobody is subscribed to any longer."""

    # -- the listener ---------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        wait = 0.0
        while True:
            await asyncio.sleep(wait)
            pubsub = self.client.pubsub()
            try:
                async with self._lock:
                    names = [*self.hub.exact, *self.hub.patterns]
                    await self._send(pubsub, names)
                    # Last, and a pattern: when it is confirmed, all the others are subscribed to. redis-py subscribes
                    # in this order, too, when it connects again by itself.
                    await pubsub.psubscribe(_escape(self._control))
                    self._pubsub = pubsub
                async for message in _read_messages(pubsub):
                    if wait:
                        logger.info("Redis answers again.")
                        wait = 0.0
                    await self._handle_message(message)
            except (RedisError, OSError) as error:
                if not wait:
                    logger.warning("Channels lost Redis and try to reach it again: %r", error)
                wait = min(_LONGEST_WAIT, wait * 2 or 0.05)
            finally:
                self._pubsub = None
                await pubsub.aclose()  # type: ignore[no-untyped-call] # redis-py's own

    async def _handle_message(self, message: PubSubMessage) -> None:
        kind, channel = message["type"], message["channel"].decode()
        if kind in ("message", "pmessage"):
            pattern = None if message["pattern"] is None else message["pattern"].decode()
            self.dispatch(channel.removeprefix(self.prefix), pattern, message["data"])
        elif kind in ("subscribe", "psubscribe"):
            if channel == _escape(self._control):
                await self.recover()
                return
            name = channel.removeprefix(self.prefix if kind == "subscribe" else _escape(self.prefix))
            future = self._confirmed.pop(name, None)
            if future is not None and not future.done():
                future.set_result(None)

    def dispatch(self, channel: str, pattern: str | None, data: bytes) -> None:
        """Give subscribers a message.

        Redis sends it once for the name and once for each pattern that matches.
        """
        message = Message(channel, data)
        if pattern is None:
            for subscription in list(self.hub.exact.get(channel, ())):
                subscription.deliver(message)
            return
        name = pattern.removeprefix(_escape(self.prefix))
        for subscription in list(self.hub.subscriptions_of(name)):
            if len(subscription.names) == 1 or self.hub.first_match(subscription, channel) == name:
                subscription.deliver(message)

    async def recover(self) -> None:
        """Give subscribers what was published while nobody listened, as far as it is kept."""

    async def aclose(self) -> None:
        """End everything."""
        for subscription in self.hub.subscriptions():
            subscription.end()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait((self._listener,))
        await self.presence.aclose()
        await self.client.aclose()


async def _read_messages(pubsub: PubSub) -> AsyncIterator[PubSubMessage]:
    """Yield what comes; an idle connection is asked whether it lives.

    Raises:
        RedisConnectionError: It does not.
    """
    asked = False
    while True:
        message = await pubsub.get_message(timeout=_IDLE_SECONDS)
        if message is not None:
            asked = False
            yield message
        elif asked:
            raise RedisConnectionError(f"Redis did not answer for {_IDLE_SECONDS:.0f} s.")
        else:
            asked = True
            await pubsub.ping()


def _escape(prefix: str) -> str:
    """Return a prefix as it stands in a pattern."""
    return "".join(f"\\{char}" if char in "*?[]\\^" else char for char in prefix)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise our exceptions where redis-py raises its own."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError) as error:
        raise ChannelsUnavailableError(f"Redis cannot be reached, or did not answer in time: {error}") from error
    except RedisError as error:
        raise ChannelsError(f"Redis refused: {error}") from error
