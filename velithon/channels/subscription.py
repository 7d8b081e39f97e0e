"""A subscription: the bounded queue between what is published and one subscriber."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol, Self

from anyio import CancelScope

from velithon.channels.message import (
    ChannelsError,
    Message,
    OnFull,
    SlowSubscriberError,
    check_channel_name,
    compile_pattern,
    is_pattern,
    parse_id,
)

if TYPE_CHECKING:
    import re
    from types import TracebackType


__all__ = ["Engine", "Hub", "Subscription"]

_PAGE = 100


class Engine(Protocol):
    """What a subscription needs of its channels; see `velithon.channels.base.Channels`."""

    keeps_history: bool

    async def open(self, subscription: Subscription) -> None:
        """Let a subscription get what is published from here on."""

    async def close(self, subscription: Subscription) -> None:
        """Let a subscription get nothing more."""

    async def replay(self, channel: str, after: str, limit: int) -> list[Message]:
        """Return messages from the history."""
        ...


class Subscription:
    """Gives one subscriber its messages: `async with subscription:` and, inside, `async for message in subscription`.

    Asked to begin after a message, it reads the history first, a page at a time and as fast as it is read. What is
    published meanwhile is in the history, too: its queue takes nothing until a page is empty.

    Attributes:
        names: Its channels, names and patterns.
        dropped: How many messages were dropped because it was slow.
        is_complete: Whether the history reached back to the message that it asked to begin after.
    """

    def __init__(
        self,
        channels: Engine,
        names: tuple[str, ...],
        capacity: int,
        on_full: OnFull,
        after: str | None,
        member: str | None,
    ) -> None:
        if not names:
            raise ValueError("A subscription needs the name of a channel.")
        if on_full not in ("drop_oldest", "disconnect"):
            raise ValueError(f"on_full must be 'drop_oldest' or 'disconnect', not {on_full!r}.")
        if capacity < 1:
            raise ValueError(f"capacity is a number of messages, at least 1, not {capacity!r}.")
        self.names = tuple(dict.fromkeys(check_channel_name(name, patterns=True) for name in names))
        if after is not None:
            _check_after(channels, self.names, after)
        self.capacity = capacity
        self.on_full = on_full
        self.after = after
        self.member = member
        self.dropped = 0
        self.is_complete = True
        self.loop: asyncio.AbstractEventLoop | None = None
        self._channels = channels
        self._queue: deque[Message] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: ChannelsError | None = None
        self._is_ended = False
        # While the history is read: the id that it was read up to, and that of the last message that came meanwhile.
        self._replayed: str | None = after
        self._skipped: str | None = None

    @property
    def exact(self) -> list[str]:
        """Its names that are no patterns."""
        return [name for name in self.names if not is_pattern(name)]

    @property
    def backlog(self) -> int:
        """How many messages wait for the subscriber."""
        return len(self._queue)

    async def __aenter__(self) -> Self:
        if self.loop is not None:
            raise RuntimeError("A subscription is entered once; ask the channels for another.")
        self.loop = asyncio.get_running_loop()
        try:
            await self._channels.open(self)
        except BaseException:
            with CancelScope(shield=True):
                await self._channels.close(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        with CancelScope(shield=True):
            await self._channels.close(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """Return the next message.

        Raises:
            StopAsyncIteration: The subscription or its channels were closed.
            SlowSubscriberError: The queue was full and `on_full` is `"disconnect"`.
        """
        while not self._queue:
            if self._error is not None:
                raise self._error
            if self._is_ended:
                raise StopAsyncIteration
            if self.loop is None:
                raise RuntimeError("A subscription begins with `async with`.")
            if self._replayed is not None:
                await self._read_history(self._replayed)
                continue
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._queue.popleft()

    async def _read_history(self, after: str) -> None:
        first = after is self.after
        page = await self._channels.replay(self.names[0], after, min(_PAGE, self.capacity))
        if first and page and after != "0":
            self.is_complete = await self._is_kept(after)
        if page:
            self._queue.extend(page)
            self._replayed = page[-1].id
        elif self._skipped is None or parse_id(self._skipped) <= parse_id(after):
            self._replayed = None

    async def _is_kept(self, after: str) -> bool:
        """Tell whether a message is still in the history, so that none between it and the next can be missing."""
        milliseconds, number = parse_id(after)
        before = f"{milliseconds}-{number - 1}" if number else f"{max(0, milliseconds - 1)}-{2**64 - 1}"
        found = await self._channels.replay(self.names[0], before, 1)
        return bool(found) and found[0].id == after

    def deliver(self, message: Message) -> None:
        """Queue a message, in the loop of the subscriber."""
        if self._is_ended:
            return
        if self._replayed is not None:
            self._skipped = message.id
            return
        if len(self._queue) >= self.capacity:
            if self.on_full == "disconnect":
                self.end(SlowSubscriberError(f"A subscriber of {self.names} had {self.capacity} messages waiting."))
                return
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(message)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self, error: ChannelsError | None = None) -> None:
        """Give what is queued, then raise the error or stop."""
        if self._is_ended:
            return
        self._is_ended = True
        self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _check_after(channels: Engine, names: tuple[str, ...], after: str) -> None:
    if not channels.keeps_history:
        raise ValueError(
            "after= needs a history, and these channels keep none: make them with history=, the number of messages."
        )
    if len(names) != 1 or is_pattern(names[0]):
        raise ValueError(f"after= is an id of one channel; these are {names}.")
    parse_id(after)


class Hub:
    """The subscriptions of one process or event loop, by name and by pattern."""

    def __init__(self) -> None:
        self.exact: dict[str, dict[Subscription, None]] = {}
        self.patterns: dict[str, tuple[re.Pattern[str], dict[Subscription, None]]] = {}

    def add(self, subscription: Subscription) -> None:
        """Add a subscription under each of its names."""
        for name in subscription.names:
            if is_pattern(name):
                self.patterns.setdefault(name, (compile_pattern(name), {}))[1][subscription] = None
            else:
                self.exact.setdefault(name, {})[subscription] = None

    def remove(self, subscription: Subscription) -> list[str]:
        """Remove a subscription; return the names that nobody is left under."""
        unused = []
        for name in subscription.names:
            found = self.subscriptions_of(name)
            if found.pop(subscription, subscription) is None and not found:
                self.patterns.pop(name, None)
                self.exact.pop(name, None)
                unused.append(name)
        return unused

    def subscriptions_of(self, name: str) -> dict[Subscription, None]:
        """Return the subscriptions under a name or pattern."""
        return self.patterns[name][1] if name in self.patterns else self.exact.get(name, {})

    def subscriptions(self) -> set[Subscription]:
        """Return all subscriptions."""
        groups = [*self.exact.values(), *(found for _, found in self.patterns.values())]
        return {subscription for found in groups for subscription in found}

    def matching(self, channel: str) -> list[Subscription]:
        """Return the subscriptions that a channel's messages go to, each once."""
        found = self.exact.get(channel)
        if not self.patterns:
            return [] if found is None else list(found)
        matched = dict(found or {})
        for regex, subscriptions in self.patterns.values():
            if regex.fullmatch(channel):
                matched.update(subscriptions)
        return list(matched)

    def first_match(self, subscription: Subscription, channel: str) -> str | None:
        """Return the name or pattern by which a subscription gets a channel's messages.

        An exact name comes first, then the first pattern that matches.
        """
        if channel in subscription.names:
            return channel
        patterns = self.patterns
        return next(
            (name for name in subscription.names if name in patterns and patterns[name][0].fullmatch(channel)), None
        )
