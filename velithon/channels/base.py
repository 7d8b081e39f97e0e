"""The contract of channels: publish and subscribe by name, history, presence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from velithon.channels.message import DEFAULT_CAPACITY, Message, OnFull, check_channel_name, is_pattern, parse_id
from velithon.channels.subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from velithon.sse import ServerSentEvent

__all__ = ["Channels"]


class Channels(ABC):
    """Publish and subscribe by name, for everybody who shares the engine behind it.

    A name is any text but one with `*`, `?`, `[` or a null character. A pattern has `*` for any number of characters or
    `?` for one. Messages of one channel come in the order in which they were published, to each subscriber once.

    Connections are made when they are first needed. `aclose` ends them; an application that has the channels does it.

    Attributes:
        keeps_history: Whether messages have ids and a subscriber can ask for what it missed.
    """

    keeps_history: bool = False

    @abstractmethod
    async def publish(self, channel: str, data: object) -> str | None:
        """Send a message to all who are subscribed to a channel.

        Args:
            channel: A name, no pattern.
            data: Text, bytes, or anything that JSON can carry; pydantic models too.

        Returns:
            The message's id where history is kept, or `None`.

        Raises:
            ChannelsUnavailableError: It is not known whether anybody gets the message.
            TypeError: JSON cannot carry the data.
            ValueError: The name is a pattern or empty.
        """

    @abstractmethod
    async def history(self, channel: str, *, limit: int = 100) -> list[Message]:
        """Return the last messages of a channel, the oldest first.

        Raises:
            ChannelsError: These channels keep no history.
        """

    @abstractmethod
    async def members(self, channel: str) -> list[str]:
        """Return who is in a channel, over all processes: sorted, each once. See `subscribe(member=...)`."""

    @abstractmethod
    async def open(self, subscription: Subscription) -> None:
        """Let a subscription get what is published from here on. `async with` calls it."""

    @abstractmethod
    async def close(self, subscription: Subscription) -> None:
        """Let a subscription get nothing more, and its member leave."""

    @abstractmethod
    async def replay(self, channel: str, after: str, limit: int) -> list[Message]:
        """Return at most `limit` messages after an id, the oldest first."""

    @abstractmethod
    async def aclose(self) -> None:
        """End all subscriptions and let go of connections.

        The channels may be used again and open new ones.
        """

    def subscribe(
        self,
        *channels: str,
        capacity: int = DEFAULT_CAPACITY,
        on_full: OnFull = "drop_oldest",
        after: str | None = None,
        member: str | None = None,
    ) -> Subscription:
        """Return a subscription, which begins with `async with` and gives messages to `async for`.

        Args:
            channels: Names and patterns.
            capacity: How many messages wait for the subscriber at most.
            on_full: What happens to the message after those: `"drop_oldest"` drops the one that waits longest and
                counts it in `subscription.dropped`; `"disconnect"` ends the subscription with `SlowSubscriberError`.
            after: The id of the last message that the subscriber has: the kept ones after it come first. `"0"` asks
                for all that is kept.
            member: Who subscribes. It is in `members` of each name until the subscription ends.

        Raises:
            ValueError: An argument cannot be used.
        """
        return Subscription(self, channels, capacity, on_full, after, member)

    def events(
        self, channel: str, *, last_event_id: str | None = None, event: str | None = None, capacity: int = 1000
    ) -> AsyncIterator[ServerSentEvent]:
        """Return a channel's messages as server-sent events.

        By their ids a browser continues where it was.

        Args:
            channel: A name; without history a pattern too.
            last_event_id: The request's `Last-Event-ID`: what was published after it comes first.
            event: The events' type.
            capacity: How many messages wait for a slow client at most; then it is disconnected, and a browser comes
                back with its `Last-Event-ID`.

        Raises:
            HTTPException: `last_event_id` is no id that these channels gave (400).
        """
        check_channel_name(channel, patterns=True)
        if self.keeps_history and is_pattern(channel):
            raise ValueError(f"The ids of events are ids of one channel; {channel!r} stands for several.")
        after = last_event_id if self.keeps_history else None
        if after is not None:
            try:
                parse_id(after)
            except ValueError:
                from velithon.exceptions import HTTPException

                raise HTTPException(400, f"Last-Event-ID {after!r} is no id that this server gave.") from None
        return self._events(channel, after, event, capacity)

    async def _events(
        self, channel: str, after: str | None, event: str | None, capacity: int
    ) -> AsyncIterator[ServerSentEvent]:
        from velithon.sse import ServerSentEvent

        async with self.subscribe(channel, capacity=capacity, on_full="disconnect", after=after) as subscription:
            async for message in subscription:
                yield ServerSentEvent(raw_data=message.text, event=event, id=message.id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
