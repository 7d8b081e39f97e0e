"""Channels from a URL, and those of an application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.applications import Starlette

from velithon.channels.memory import MemoryChannels

if TYPE_CHECKING:
    from velithon.channels.base import Channels

__all__ = ["channels_from_url", "get_channels"]

_REDIS = {"redis": "redis", "rediss": "rediss", "unix": "unix", "valkey": "redis", "valkeys": "rediss"}


def channels_from_url(url: str, *, history: int = 0, **options: Any) -> Channels:
    """Return the channels that a URL names.

    Args:
        url: `memory://`, or Redis's: `redis://`, `rediss://`, `unix://`; `valkey://` and `valkeys://` are the same.
        history: How many messages of each channel are kept; 0 keeps none.
        options: What the class takes besides: `RedisChannels`, or `RedisStreamChannels` with a history.

    Raises:
        ValueError: The scheme is none of these.
        ImportError: A package is missing; says how to install it.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return MemoryChannels(history=history, **options)
    if scheme not in _REDIS:
        raise ValueError(
            f"The URL of channels begins with memory://, redis://, rediss://, unix://, valkey:// or valkeys://, "
            f"not as {url.partition('@')[2] or url!r} does."
        )
    url = _REDIS[scheme] + url[len(scheme) :]
    if history:
        from velithon.channels.streams import RedisStreamChannels

        return RedisStreamChannels(url, history=history, **options)
    from velithon.channels.redis import RedisChannels

    return RedisChannels(url, **options)


async def get_channels(app: Starlette) -> Channels:
    """Return the channels of the application: `Annotated[Channels, Depends(get_channels)]`."""
    found: Channels = app.channels  # type: ignore[attr-defined] # it is a Velithon
    return found
