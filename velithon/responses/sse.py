"""Server-sent events: the event, its wire format, and the response that streams them."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anyio import CancelScope
from pydantic import BaseModel, Field, field_validator, model_validator

from velithon.concurrency import close_iterator, iterate_in_threadpool
from velithon.encoders import jsonable_encoder
from velithon.exceptions import as_exception
from velithon.responses.stream import StreamingResponse
from velithon_adapters.stopping import stopping

if TYPE_CHECKING:
    from typing import Self

    from starlette.background import BackgroundTask

__all__ = ["KEEPALIVE_COMMENT", "EventSourceResponse", "ServerSentEvent", "format_sse_event"]

T = TypeVar("T")

KEEPALIVE_COMMENT = b": ping\n\n"
"""A comment, which clients ignore and proxies count as traffic."""

# Seconds. A timer may ring so much before its time.
_CLOCK_TICK = 0.001


class ServerSentEvent(BaseModel):
    """One event of the HTML standard's ``text/event-stream``.

    Args:
        data: Anything that JSON can carry; always sent as JSON, strings in quotes.
        raw_data: Text to send as it is. There is one of ``data`` and ``raw_data`` at most.
        event: The type that the browser dispatches; ``message`` when there is none. One line.
        id: What the browser sends back as ``Last-Event-ID``. One line without a null character.
        retry: How long the browser waits before it connects again, in milliseconds.
        comment: Lines that clients ignore.
    """

    data: Any = None
    raw_data: str | None = None
    event: str | None = None
    id: str | None = None
    retry: int | None = Field(default=None, ge=0)
    comment: str | None = None

    @field_validator("event")
    @classmethod
    def _check_event(cls, value: str | None) -> str | None:
        return _require_one_line(value, "event")

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str | None) -> str | None:
        return _require_one_line(_require_no_null(value), "id")

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        if self.data is not None and self.raw_data is not None:
            raise ValueError(
                "Cannot set both 'data' and 'raw_data' on the same ServerSentEvent. "
                "Use 'data' for JSON-serialized payloads or 'raw_data' for pre-formatted strings."
            )
        return self


def _require_one_line(value: str | None, name: str) -> str | None:
    if value is not None and ("\r" in value or "\n" in value):
        raise ValueError(f"SSE '{name}' must be a single line")
    return value


def _require_no_null(value: str | None) -> str | None:
    if value is not None and "\0" in value:
        raise ValueError("SSE 'id' must not contain null characters")
    return value


def format_sse_event(
    *,
    data_str: str | None = None,
    event: str | None = None,
    id: str | None = None,
    retry: int | None = None,
    comment: str | None = None,
) -> bytes:
    """Return an event in the wire format, its closing blank line included.

    Args:
        data_str: The data, encoded already; several lines become several fields.
        event: The type. One line.
        id: The identifier. One line without a null character.
        retry: Milliseconds.
        comment: Lines that clients ignore.

    Raises:
        ValueError: ``event``, ``id`` or ``retry`` would end its line, and begin another field.
    """
    if event is None and id is None and retry is None and comment is None and data_str is not None:
        # Nearly all events, in a fifth of the time.
        if "\n" not in data_str and "\r" not in data_str:
            return f"data: {data_str}\n\n".encode()
    _require_one_line(event, "event")
    _require_one_line(_require_no_null(id), "id")
    if retry is not None and (type(retry) is not int or retry < 0):
        raise ValueError(f"SSE 'retry' must be a number of milliseconds, not {retry!r}")
    lines = [f": {line}" for line in _split_lines(comment)]
    if event is not None:
        lines.append(f"event: {event}")
    lines += [f"data: {line}" for line in _split_lines(data_str)]
    if id is not None:
        lines.append(f"id: {id}")
    if retry is not None:
        lines.append(f"retry: {retry}")
    return "\n".join([*lines, "", ""]).encode()


def _split_lines(text: str | None) -> list[str]:
    # Only what the standard calls a line end: str.splitlines knows more of them.
    return [] if text is None else text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def dump_item(item: object) -> bytes:
    """Return one item of a stream as JSON.

    A number that JSON cannot say becomes null.
    """
    return json.dumps(_drop_non_finite(jsonable_encoder(item))).encode()


def _drop_non_finite(data: object) -> object:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: _drop_non_finite(value) for key, value in data.items()}
    return [_drop_non_finite(value) for value in data] if isinstance(data, list) else data


def encode_event(item: object, dump: Callable[[object], bytes] = dump_item) -> bytes:
    """Return what a generator yielded as an event.

    Text and bytes are taken to be in the wire format already.

    Args:
        item: A ``ServerSentEvent``, or data for one.
        dump: Makes JSON of data that stands alone.
    """
    if not isinstance(item, ServerSentEvent):
        return format_sse_event(data_str=dump(item).decode())
    data = item.raw_data
    if data is None and item.data is not None:
        data = item.data.model_dump_json() if hasattr(item.data, "model_dump_json") else dump_item(item.data).decode()
    return format_sse_event(data_str=data, event=item.event, id=item.id, retry=item.retry, comment=item.comment)


def encode_chunk(item: object) -> bytes:
    """Encode an item that was given to an ``EventSourceResponse``.

    Text and bytes are in the wire format already.
    """
    if isinstance(item, str):
        return item.encode()
    return bytes(item) if isinstance(item, bytes | memoryview) else encode_event(item)


class EventSourceResponse(StreamingResponse):
    """A stream of events: ``text/event-stream``, not cached, not buffered by proxies, kept alive by pings.

    As ``response_class`` of an endpoint that yields, it encodes what is yielded. Given an iterable, it sends bytes and
    text as they are and encodes everything else.

    Args:
        content: An iterable or async iterable of events.
        status_code: 200 to 599.
        headers: Names and values.
        media_type: The ``Content-Type``.
        background: Runs after the last event, also when the client went away.
    """

    media_type = "text/event-stream"
    ping_interval: float = 15.0
    """Seconds without an event after which a ping is sent."""
    start_delay: float = 0.1
    """Seconds that the status waits for the first event: a browser's `open` event is not to be late."""

    def __init__(
        self,
        content: AsyncIterable[object] | Iterable[object],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        items = content if isinstance(content, AsyncIterable) else iterate_in_threadpool(content)
        super().__init__(
            with_pings(items, encode_chunk, self.ping_interval), status_code, headers, media_type, background
        )
        for name, value in (("cache-control", "no-cache"), ("x-accel-buffering", "no")):
            if self.get_header(name) is None:
                self.append_header(name, value)


async def with_pings(
    items: AsyncIterable[T], encode: Callable[[T], bytes], interval: float
) -> AsyncGenerator[bytes, None]:
    """Yield each item encoded, and a ping whenever none came for ``interval`` seconds.

    The items are made in one task of their own, because a wait that timed out must not cancel the generator and a
    generator that opens cancel scopes must not change tasks. Leaving this generator ends the other one first.
    """
    relay = _Relay(items, encode, interval)
    stopping.at_once.add(relay.end)
    try:
        while True:
            if relay.item is None and not relay.ended and not relay.given_up:
                await relay.arrival()
            chunk = relay.item
            if chunk is not None:
                relay.item = None
                _wake(relay.room)
                yield chunk
            elif relay.ended:
                await relay.task
                return
            elif relay.given_up:
                return
            else:
                yield KEEPALIVE_COMMENT
    finally:
        stopping.at_once.discard(relay.end)
        await relay.stop()


class _Relay(Generic[T]):
    """Carries one item at a time from the task that makes them to the one that sends them.

    A timer for each event would cost as much as all the rest: one is set when the first wait begins, and set again when
    it rings before a whole interval has passed.

    Attributes:
        item: What is to be sent next.
        ended: Whether the task is done with its items.
        given_up: Whether nobody is to wait for them any more.
        room: Set while the task waits for the item to be taken.
        task: Makes the items.
    """

    __slots__ = (
        "_deadline", "_encode", "_interval", "_items", "_loop", "_ready", "_timer", "ended", "given_up", "item", "room",
        "task",
    )  # fmt: skip

    def __init__(self, items: AsyncIterable[T], encode: Callable[[T], bytes], interval: float) -> None:
        self._items = items
        self._encode = encode
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ready: asyncio.Future[None] | None = None
        self.item: bytes | None = None
        self.ended = False
        self.given_up = stopping.active
        self.room: asyncio.Future[None] | None = None
        self.task = self._loop.create_task(self._produce())

    async def _produce(self) -> None:
        encode = self._encode
        try:
            async for item in self._items:
                chunk = encode(item)
                while self.item is not None:
                    self.room = self._loop.create_future()
                    await self.room
                self.item = chunk
                _wake(self._ready)
        except (SystemExit, KeyboardInterrupt) as exc:
            raise as_exception(exc) from exc
        finally:
            self.ended = True
            _wake(self._ready)
            await close_iterator(self._items)

    def arrival(self) -> asyncio.Future[None]:
        """Return what is done when there is an item, when there will be none, or when the interval is over."""
        loop = self._loop
        ready = self._ready = loop.create_future()
        self._deadline = loop.time() + self._interval
        if self._timer is None:
            self._timer = loop.call_later(self._interval, self._ring)
        return ready

    def _ring(self) -> None:
        self._timer = None
        left = self._deadline - self._loop.time()
        if left > _CLOCK_TICK:
            self._timer = self._loop.call_later(left, self._ring)
        else:
            _wake(self._ready)

    def end(self) -> None:
        """Let the stream end after the event in hand, as the server stops: browsers connect again."""
        self.given_up = True
        _wake(self._ready)

    async def stop(self) -> None:
        """End the task that makes items, whatever it is doing, and see it through."""
        if self._timer is not None:
            self._timer.cancel()
        if self.task.done():
            return
        self.task.cancel()
        with CancelScope(shield=True):
            await asyncio.wait((self.task,))
        if not self.task.cancelled():
            self.task.exception()


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
