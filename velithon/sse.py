"""FastAPI's name for `velithon.responses.sse`."""

from __future__ import annotations

from velithon.responses.sse import KEEPALIVE_COMMENT, EventSourceResponse, ServerSentEvent, format_sse_event

__all__ = ["KEEPALIVE_COMMENT", "EventSourceResponse", "ServerSentEvent", "format_sse_event"]
