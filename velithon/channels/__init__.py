"""Channels: publish and subscribe by name, in this process or over Redis, behind one contract.

An application has them as `app.channels`: in memory unless `Velithon(channels=...)` says otherwise. Rooms of
WebSockets, server-sent events and `app.events` are made of them, so one line takes these from one process to many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velithon._runtime.lazy import lazy_attributes
from velithon.channels.base import Channels
from velithon.channels.memory import MemoryChannels
from velithon.channels.message import ChannelsError, ChannelsUnavailableError, Message, OnFull, SlowSubscriberError
from velithon.channels.room import Room
from velithon.channels.subscription import Subscription
from velithon.channels.url import channels_from_url, get_channels

if TYPE_CHECKING:
    from velithon.channels.redis import RedisChannels
    from velithon.channels.streams import RedisStreamChannels

__all__ = [
    "Channels",
    "ChannelsError",
    "ChannelsUnavailableError",
    "MemoryChannels",
    "Message",
    "OnFull",
    "RedisChannels",
    "RedisStreamChannels",
    "Room",
    "SlowSubscriberError",
    "Subscription",
    "channels_from_url",
    "get_channels",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_attributes(
        __name__,
        {"RedisChannels": "velithon.channels.redis", "RedisStreamChannels": "velithon.channels.streams"},
    )
