"""What all channels do, over each implementation, on real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from pydantic import BaseModel

from velithon.channels import Channels, ChannelsError, Message, SlowSubscriberError, Subscription, channels_from_url

pytestmark = pytest.mark.asyncio

KINDS = ["memory", "memory-history", "redis", "redis-history"]

Make = Callable[[], Channels]


@pytest_asyncio.fixture
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """A maker of channels of one kind; those over Redis are as many processes would have them."""
    engine, _, history = request.param.partition("-")
    url = "memory://" if engine == "memory" else request.getfixturevalue("redis_url")
    made: list[Channels] = []

    def another() -> Channels:
        if engine == "memory" and made:
            return made[0]
        made.append(channels_from_url(url, history=50 if history else 0))
        return made[-1]

    async with asyncio.timeout(10):
        yield another
        for channels in made:
            await channels.aclose()


def over(*kinds: str) -> pytest.MarkDecorator:
    """Run a test over kinds of channels."""
    return pytest.mark.parametrize("make", kinds, indirect=True)


everywhere = over(*KINDS)
with_history = over("memory-history", "redis-history")
without_history = over("memory", "redis")


async def take(subscription: Subscription, count: int) -> list[Any]:
    """Return the data of the next messages."""
    return [(await anext(subscription)).data for _ in range(count)]


@everywhere
async def test_whoever_is_subscribed_gets_what_is_published_in_order(make: Make) -> None:
    """On the connection that publishes and on another one."""
    here, there = make(), make()
    async with here.subscribe("news") as first, there.subscribe("news") as second, there.subscribe("other") as third:
        for number in range(100):
            await here.publish("news", number)
        assert await take(first, 100) == await take(second, 100) == list(range(100))
        assert third.backlog == 0


class Order(BaseModel):
    """A model."""

    number: int


@everywhere
@pytest.mark.parametrize(
    ("data", "received", "text"),
    [
        ("héllo", "héllo", "héllo"),
        ({"a": [1, None]}, {"a": [1, None]}, '{"a":[1,null]}'),
        (Order(number=3), {"number": 3}, '{"number":3}'),
        (7, 7, "7"),
        ("", "", ""),
    ],
)
async def test_data_arrives_as_it_was(make: Make, data: Any, received: Any, text: str) -> None:
    channels = make()
    async with channels.subscribe("news") as subscription:
        await channels.publish("news", data)
        message = await anext(subscription)
        assert (message.channel, message.data, message.text) == ("news", received, text)


@everywhere
async def test_bytes_stay_bytes_and_have_no_text(make: Make) -> None:
    channels = make()
    async with channels.subscribe("news") as subscription:
        await channels.publish("news", b"\x00\xff")
        message = await anext(subscription)
        assert message.data == b"\x00\xff"
        with pytest.raises(TypeError, match="no text"):
            _ = message.text


@everywhere
async def test_patterns_match_names(make: Make) -> None:
    """Each subscription gets each message once, however many of its names match."""
    channels = make()
    async with (
        channels.subscribe("room:*") as rooms,
        channels.subscribe("room:1", "room:*", "*") as all_names,
        channels.subscribe("room:?") as short,
        channels.subscribe("room:1") as exact,
    ):
        for name in ("room:1", "room:22", "hall"):
            await channels.publish(name, name)
        await channels.publish("room:1", "end")
        assert await take(rooms, 3) == ["room:1", "room:22", "end"]
        assert await take(all_names, 4) == ["room:1", "room:22", "hall", "end"]
        assert await take(short, 2) == ["room:1", "end"]
        assert await take(exact, 2) == ["room:1", "end"]
        assert [each.backlog for each in (rooms, all_names, short, exact)] == [0, 0, 0, 0]


@everywhere
@pytest.mark.parametrize("prefix", ["a.b", "a^b", "50%", "naïve"])
async def test_signs_in_names_mean_nothing(make: Make, prefix: str) -> None:
    channels = make()
    async with channels.subscribe(f"{prefix}:x") as exact, channels.subscribe(f"{prefix}:*") as pattern:
        await channels.publish("a_b:x", "another channel")
        await channels.publish(f"{prefix}:x", "this one")
        assert await take(exact, 1) == await take(pattern, 1) == ["this one"]


@everywhere
async def test_a_slow_subscriber_loses_the_oldest_messages(make: Make) -> None:
    channels = make()
    async with channels.subscribe("news", capacity=3) as slow, channels.subscribe("news") as quick:
        for number in range(10):
            await channels.publish("news", number)
        assert await take(quick, 10) == list(range(10))
        assert slow.dropped == 7
        assert await take(slow, 3) == [7, 8, 9]


@everywhere
async def test_a_slow_subscriber_is_disconnected_when_it_says_so(make: Make) -> None:
    """It gets what was queued; the others go on."""
    channels = make()
    async with (
        channels.subscribe("news", capacity=3, on_full="disconnect") as slow,
        channels.subscribe("news") as quick,
    ):
        for number in range(10):
            await channels.publish("news", number)
        assert await take(quick, 10) == list(range(10))
        assert await take(slow, 3) == [0, 1, 2]
        with pytest.raises(SlowSubscriberError, match="3 messages"):
            await anext(slow)
        assert slow.dropped == 0


@everywhere
async def test_members_are_who_is_subscribed_by_name_anywhere(make: Make) -> None:
    here, there = make(), make()
    async with here.subscribe("room", member="ann"), here.subscribe("room", member="ann"):
        async with there.subscribe("room", member="bob"), there.subscribe("room"):
            assert await here.members("room") == await there.members("room") == ["ann", "bob"]
            assert await here.members("other") == []
        assert await here.members("room") == ["ann"]
    assert await there.members("room") == []


@everywhere
async def test_nothing_comes_after_the_end(make: Make) -> None:
    """Of the subscription, whose block was left; and of the channels, which end it."""
    channels = make()
    async with channels.subscribe("news") as subscription:
        await channels.publish("news", 1)
        assert await take(subscription, 1) == [1]
    await channels.publish("news", 2)
    assert [message async for message in subscription] == []
    async with channels.subscribe("news") as subscription:
        ended = asyncio.create_task(_all(subscription))
        await asyncio.sleep(0)
        await channels.aclose()
        assert await ended == []
    # Closed channels may be used again.
    async with channels.subscribe("news") as subscription:
        await channels.publish("news", 3)
        assert await take(subscription, 1) == [3]


async def _all(subscription: Subscription) -> list[Message]:
    return [message async for message in subscription]


@everywhere
async def test_a_name_can_be_left_and_entered_again(make: Make) -> None:
    channels = make()
    for number in range(20):
        async with channels.subscribe("news", "news:*") as subscription:
            await channels.publish("news", number)
            assert await take(subscription, 1) == [number]


@with_history
async def test_who_comes_back_gets_what_it_missed(make: Make) -> None:
    """In order, once, and without a gap to what is published meanwhile."""
    here, there = make(), make()
    async with here.subscribe("news") as subscription:
        await there.publish("news", 0)
        last = await anext(subscription)
    for number in range(1, 30):
        await there.publish("news", number)
    assert last.id is not None
    async with here.subscribe("news", after=last.id) as subscription:
        for number in range(30, 40):
            await there.publish("news", number)
        assert await take(subscription, 39) == list(range(1, 40))
        await there.publish("news", 40)
        assert await take(subscription, 1) == [40]
        assert subscription.is_complete


@with_history
async def test_a_slow_reader_of_the_history_misses_nothing(make: Make) -> None:
    """Its queue holds less than what it missed: it reads page after page."""
    channels = make()
    for number in range(30):
        await channels.publish("news", number)
    async with channels.subscribe("news", after="0", capacity=4) as subscription:
        for number in range(30, 40):
            await channels.publish("news", number)
        assert await take(subscription, 40) == list(range(40))
        assert subscription.dropped == 0


@with_history
async def test_history_that_does_not_reach_back_is_told(make: Make) -> None:
    channels = make()
    first = await channels.publish("news", "first")
    for number in range(400):
        await channels.publish("news", number)
    async with channels.subscribe("news", after=first) as subscription:
        assert (await take(subscription, 1))[0] > 0
        assert not subscription.is_complete


@with_history
async def test_the_last_messages_can_be_asked_for(make: Make) -> None:
    channels = make()
    ids = [await channels.publish("news", number) for number in range(10)]
    found = await channels.history("news", limit=3)
    assert [(message.data, message.id) for message in found] == list(zip([7, 8, 9], ids[-3:], strict=True))
    assert await channels.history("nothing") == []
    assert await channels.history("news", limit=0) == []


@with_history
async def test_ids_grow(make: Make) -> None:
    channels = make()
    ids = [await channels.publish("news", number) for number in range(50)]
    numbers = [tuple(map(int, (found or "").split("-"))) for found in ids]
    assert numbers == sorted(set(numbers))


@with_history
async def test_events_carry_ids_and_continue_after_the_last_one(make: Make) -> None:
    channels = make()
    for word in ("one", "two", "three"):
        await channels.publish("news", word)
    second = (await channels.history("news"))[1].id
    events = channels.events("news", last_event_id=second, event="word")
    event = await anext(events)
    assert (event.raw_data, event.event) == ("three", "word")
    assert event.id == (await channels.history("news"))[2].id
    await events.aclose()  # type: ignore[attr-defined] # a generator


@without_history
async def test_without_a_history_nobody_can_ask_for_it(make: Make) -> None:
    channels = make()
    assert await channels.publish("news", 1) is None
    with pytest.raises(ValueError, match="history="):
        channels.subscribe("news", after="0")
    with pytest.raises(ChannelsError, match="history="):
        await channels.history("news")


@everywhere
@pytest.mark.parametrize("name", ["", "a*", "a?", "a[b", "a\0", "a\\b"])
async def test_names_that_cannot_be_published_to_are_refused(make: Make, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        await make().publish(name, 1)


@everywhere
async def test_what_json_cannot_carry_is_refused(make: Make) -> None:
    with pytest.raises(TypeError, match="JSON"):
        await make().publish("news", {"a": object()})


async def test_arguments_that_cannot_be_used_are_refused() -> None:
    channels = channels_from_url("memory://", history=1)
    with pytest.raises(ValueError, match="name of a channel"):
        channels.subscribe()
    with pytest.raises(ValueError, match="at least 1"):
        channels.subscribe("a", capacity=0)
    with pytest.raises(ValueError, match="drop_oldest"):
        channels.subscribe("a", on_full="wait")  # type: ignore[arg-type] # that is the point
    with pytest.raises(ValueError, match="one channel"):
        channels.subscribe("a", "b", after="0")
    with pytest.raises(ValueError, match="like"):
        channels.subscribe("a", after="yesterday")
    with pytest.raises(ValueError, match="memory://"):
        channels_from_url("amqp://guest:guest@localhost/")
    with pytest.raises(ValueError, match="history"):
        channels_from_url("memory://", history=-1)
    with pytest.raises(ValueError, match="more than 0"):
        channels_from_url("redis://localhost", presence_seconds=0)
