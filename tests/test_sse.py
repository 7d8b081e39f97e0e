"""Server-sent events: the wire format beside FastAPI's, the response used by itself, pings and disconnects."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import fastapi.sse
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tests.conftest import ClientFactory
from velithon import Velithon
from velithon.responses import EventSourceResponse as FromResponses
from velithon.responses.sse import with_pings
from velithon.sse import KEEPALIVE_COMMENT, EventSourceResponse, ServerSentEvent, format_sse_event

lines = st.none() | st.text(alphabet="a:\r\n ü\x85")


@pytest.mark.parametrize("fields", [{"id": "a\0"}, {"retry": -1}, {"retry": "1\ndata: x"}])
def test_an_event_in_the_wire_format_has_no_fields_that_nobody_gave(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"null characters|number of milliseconds"):
        format_sse_event(**fields)


@given(data=lines, event=lines, ident=lines, retry=st.none() | st.integers(0), comment=lines)
def test_events_are_written_as_fastapi_writes_them(
    data: str | None, event: str | None, ident: str | None, retry: int | None, comment: str | None
) -> None:
    """The same bytes for the same fields."""
    fields: dict[str, Any] = {"data_str": data, "event": event, "id": ident, "retry": retry, "comment": comment}
    if any(value is not None and ("\r" in value or "\n" in value) for value in (event, ident)):
        with pytest.raises(ValueError, match="must be a single line"):
            format_sse_event(**fields)
        return
    assert format_sse_event(**fields) == fastapi.sse.format_sse_event(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"data": 1, "raw_data": "x"},
        {"event": "a\nb"},
        {"event": "a\rb"},
        {"id": "a\nb"},
        {"id": "a\0b"},
        {"retry": -1},
        {"retry": "soon"},
    ],
)
def test_events_that_cannot_be_sent_cannot_be_made(fields: dict[str, Any]) -> None:
    """The messages are FastAPI's."""
    with pytest.raises(ValidationError) as ours:
        ServerSentEvent(**fields)
    with pytest.raises(ValidationError) as theirs:
        fastapi.sse.ServerSentEvent(**fields)
    assert [error["msg"] for error in ours.value.errors()] == [error["msg"] for error in theirs.value.errors()]
    assert [error["loc"] for error in ours.value.errors()] == [error["loc"] for error in theirs.value.errors()]


def test_it_can_be_imported_from_responses() -> None:
    """As from FastAPI's module; it is imported only when somebody asks."""
    assert FromResponses is EventSourceResponse


class Item(BaseModel):
    a: int


def test_the_response_by_itself(client: ClientFactory) -> None:
    """Text and bytes are sent as they are, everything else is encoded, from either kind of iterable."""
    app = Velithon()

    async def events() -> AsyncIterator[Any]:
        yield "data: text\n\n"
        yield b"data: bytes\n\n"
        yield memoryview(b"data: view\n\n")
        yield ServerSentEvent(data=Item(a=1), id="1")
        yield {"a": 2}

    @app.get("/async")
    async def from_async() -> EventSourceResponse:
        return EventSourceResponse(events(), headers={"X-Accel-Buffering": "yes"}, status_code=202)

    @app.get("/sync")
    async def from_sync() -> EventSourceResponse:
        return EventSourceResponse([1, "data: 2\n\n"])

    answer = client(app).get("/async")
    assert answer.text == ('data: text\n\ndata: bytes\n\ndata: view\n\ndata: {"a":1}\nid: 1\n\ndata: {"a": 2}\n\n')
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "yes"
    assert client(app).get("/sync").text == "data: 1\n\ndata: 2\n\n"


def encode(item: str) -> bytes:
    return item.encode()


def test_events_put_the_ping_off() -> None:
    """A ping comes an interval after the last event, not an interval after the first wait."""
    interval = 0.2

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def items() -> AsyncIterator[str]:
            for number in range(6):
                await asyncio.sleep(interval / 4)
                yield str(number)
            await asyncio.Event().wait()

        chunks = with_pings(items(), encode, interval)
        seen: list[bytes] = []
        sent, pings = loop.time(), 0
        while pings < 2:
            chunk = await anext(chunks)
            now = loop.time()
            if chunk == KEEPALIVE_COMMENT:
                assert now - sent > interval * 0.95
                pings += len(seen) == 6
            else:
                seen.append(chunk)
            sent = now
        await chunks.aclose()
        assert seen == [b"0", b"1", b"2", b"3", b"4", b"5"]

    asyncio.run(main())


def test_pings_fill_the_silence() -> None:
    """A ping comes while the generator waits, then the item, and none is lost."""

    async def main() -> None:
        go = asyncio.Event()

        async def items() -> AsyncIterator[str]:
            await go.wait()
            yield "a"
            yield "b"

        chunks = with_pings(items(), encode, 0.01)
        assert await anext(chunks) == KEEPALIVE_COMMENT
        assert await anext(chunks) == KEEPALIVE_COMMENT
        go.set()
        rest = [chunk async for chunk in chunks if chunk != KEEPALIVE_COMMENT]
        assert rest == [b"a", b"b"]

    asyncio.run(main())


def test_the_generator_stays_in_one_task_and_waits_for_its_reader() -> None:
    """It may open cancel scopes, and it is at most one item ahead."""
    made: list[int] = []
    tasks: set[Any] = set()

    async def items() -> AsyncIterator[str]:
        with anyio.CancelScope():
            for number in range(5):
                tasks.add(asyncio.current_task())
                made.append(number)
                yield str(number)

    async def main() -> None:
        chunks = with_pings(items(), encode, 10)
        assert await anext(chunks) == b"0"
        for _ in range(10):
            await asyncio.sleep(0)
        assert made == [0, 1, 2]
        assert [chunk async for chunk in chunks] == [b"1", b"2", b"3", b"4"]

    asyncio.run(main())
    assert len(tasks) == 1


def test_an_error_of_the_generator_reaches_the_reader() -> None:
    """After the items that came before it."""

    async def items() -> AsyncIterator[str]:
        yield "a"
        raise LookupError("gone")

    async def main() -> None:
        chunks = with_pings(items(), encode, 10)
        assert await anext(chunks) == b"a"
        with pytest.raises(LookupError, match="gone"):
            await anext(chunks)

    asyncio.run(main())


@pytest.mark.parametrize("state", ["waiting", "ahead", "failing"])
def test_leaving_ends_the_generator(state: str) -> None:
    """Its cleanup is over when the reader is closed, whatever it was doing."""
    log: list[str] = []

    async def items() -> AsyncIterator[str]:
        try:
            yield "a"
            if state == "waiting":
                await asyncio.Event().wait()
            while True:
                yield "b"
        finally:
            log.append("closed")
            await asyncio.sleep(0)
            log.append("clean")
            if state == "failing":
                raise RuntimeError("while cleaning up")

    async def main() -> None:
        chunks = with_pings(items(), encode, 10)
        assert await anext(chunks) == b"a"
        for _ in range(5):
            await asyncio.sleep(0)
        await chunks.aclose()
        assert log == ["closed", "clean"]

    asyncio.run(main())


def test_leaving_is_not_cut_short_by_cancellation() -> None:
    """A cancelled scope cancels at every turn; the cleanup still finishes first."""
    log: list[str] = []

    async def items() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(0.01)
            log.append("clean")

    async def main() -> None:
        with anyio.CancelScope() as scope:
            async for _ in with_pings(items(), encode, 10):
                scope.cancel()
        assert log == ["clean"]

    asyncio.run(main())


def test_an_iterable_without_aclose_will_do() -> None:
    """What has only ``__aiter__`` and ``__anext__`` is left alone at the end."""

    class Items:
        def __init__(self) -> None:
            self.left = 2

        def __aiter__(self) -> Items:
            return self

        async def __anext__(self) -> str:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return str(self.left)

    async def main() -> None:
        assert [chunk async for chunk in with_pings(Items(), encode, 10)] == [b"1", b"0"]

    asyncio.run(main())


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("kind", ["endpoint", "response"])
def test_a_client_that_leaves_ends_the_generator(client: ClientFactory, sync: bool, kind: str) -> None:
    """On both faces, while it waits."""
    app: Any = Velithon()
    closed, never = threading.Event(), threading.Event()

    async def async_events() -> AsyncIterator[Any]:
        try:
            yield {"n": 1}
            await asyncio.Event().wait()
        finally:
            closed.set()

    def sync_events() -> Iterator[Any]:
        try:
            while not never.wait(0.01):
                yield {"n": 1}
        finally:
            closed.set()

    events: Any = sync_events if sync else async_events
    if kind == "endpoint":
        app.get("/", response_class=EventSourceResponse)(events)
    else:

        async def endpoint() -> EventSourceResponse:
            return EventSourceResponse(events())

        app.get("/")(endpoint)
    with client(app) as requests, requests.stream("GET", "/") as response:
        assert next(response.iter_lines()).startswith("data: {")
        response.close()
        assert closed.wait(10)
