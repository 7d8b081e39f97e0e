"""The import path of `velithon.websocket.heartbeat` for applications."""

from __future__ import annotations

from velithon.websocket.heartbeat import Heartbeat

__all__ = ["Heartbeat"]
