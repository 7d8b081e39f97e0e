"""Who is in which channel, kept on Redis.

Each channel has a sorted set, whose scores are the times at which entries expire.

Each process renews its own entries; those of a process that was killed run out. The clock is the server's.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from velithon.channels.subscription import Subscription

__all__ = ["Presence"]

logger = logging.getLogger("velithon.channels")

# KEYS: one set. ARGV: milliseconds from now, entries.
_RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1] * 2)
"""
_LIST = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""


class Presence:
    """The members of one process and loop.

    Args:
        client: The connection.
        prefix: What all keys begin with.
        seconds: How long an entry counts that nobody renews.
    """

    def __init__(self, client: Redis, prefix: str, seconds: float) -> None:
        self._client = client
        self._prefix = f"{prefix}members:"
        self._milliseconds = round(seconds * 1000)
        self._renew = client.register_script(_RENEW)
        self._list = client.register_script(_LIST)
        # Channel -> the entry of each subscription: 16 hexadecimal digits, a colon and the member.
        self._entries: dict[str, dict[Subscription, str]] = {}
        self._task: asyncio.Task[None] | None = None

    async def join(self, subscription: Subscription, member: str) -> None:
        """Enter a member into the channels of its subscription."""
        entry = f"{os.urandom(8).hex()}:{member}"
        for channel in subscription.exact:
            self._entries.setdefault(channel, {})[subscription] = entry
            await self._renew(keys=[self._prefix + channel], args=[self._milliseconds, entry])
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep_alive())

    async def leave(self, subscription: Subscription) -> None:
        """Remove the member of a subscription."""
        for channel in subscription.exact:
            entries = self._entries.get(channel, {})
            entry = entries.pop(subscription, None)
            if entry is not None:
                if not entries:
                    del self._entries[channel]
                await self._client.zrem(self._prefix + channel, entry)

    async def members(self, channel: str) -> list[str]:
        """Return who is in a channel, over all processes."""
        entries: list[bytes] = await self._list(keys=[self._prefix + channel])
        return sorted({entry.decode().partition(":")[2] for entry in entries})

    async def _keep_alive(self) -> None:
        is_away = False
        while True:
            await asyncio.sleep(self._milliseconds / 3000)
            try:
                for channel, entries in list(self._entries.items()):
                    arguments: list[int | bytes | str] = [self._milliseconds, *entries.values()]
                    await self._renew(keys=[self._prefix + channel], args=arguments)
                is_away = False
            except (RedisError, OSError) as error:
                if not is_away:
                    logger.warning("The members of channels cannot be renewed on Redis: %r", error)
                is_away = True

    async def aclose(self) -> None:
        """Renew nothing any longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
