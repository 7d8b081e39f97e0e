"""What an application has besides requests: channels, jobs and events, made when somebody first asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from velithon.channels import Channels

__all__ = ["Attached"]


class Attached:
    """The part of an application that holds them and closes them with it."""

    _channels: Channels | str | None = None

    @property
    def channels(self) -> Channels:
        """Publish and subscribe by name: see `velithon.channels`. In this process unless it was set to others."""
        if self._channels is None or isinstance(self._channels, str):
            from velithon.channels import channels_from_url

            self._channels = channels_from_url(self._channels or "memory://")
        return self._channels

    @channels.setter
    def channels(self, channels: Channels | str) -> None:
        self._channels = channels

    async def _close_channels(self) -> None:
        if self._channels is not None and not isinstance(self._channels, str):
            await self._channels.aclose()
