"""Generators as endpoints: JSON Lines, server-sent events, and raw chunks for a streaming response class.

`StreamingResponse` closes what it iterates over, however the stream ends, and each iterator here closes the one inside
it: so a generator's `finally` runs before the exits of the dependencies that it uses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError, ValidationError
from starlette.responses import Response, StreamingResponse

from velithon import responses
from velithon.concurrency import close_iterator, iterate_in_threadpool
from velithon.signature.outcome import (
    Outcome,
    build_response_arguments,
    build_result_error,
    dump_options,
    get_tools,
    merge_headers,
)
from velithon.signature.unencodable import explain

if TYPE_CHECKING:
    from starlette.background import BackgroundTasks

    from velithon.signature.model import EndpointModel, ResponseOptions

Dump = Callable[[object], bytes]
Dumper = Callable[[object], Dump]
Build = Callable[["Generated", object, "dict[str, Any]"], Response]
# What an endpoint that is a generator function returns.
Generated = AsyncIterable[object] | Iterable[object]


def compile_stream(
    model: EndpointModel, options: ResponseOptions, outcome: Outcome
) -> Callable[[Generated, object, Response | None, BackgroundTasks | None], Response]:
    """Return `finish(generator, request, response, background) -> Response`."""
    if outcome.is_sse_stream:
        build = _build_event_stream(model, options, outcome)
    elif outcome.is_json_stream:
        build = _build_json_lines(model, options, outcome)
    else:
        build = _build_chunks(outcome.response_class)

    def finish(
        generator: Generated, request: object, response: Response | None, background: BackgroundTasks | None
    ) -> Response:
        made = build(generator, request, build_response_arguments(options.status_code, response, background))
        if response is not None:
            merge_headers(made, response)
        return made

    return finish


def _build_dumper(model: EndpointModel, options: ResponseOptions, outcome: Outcome) -> Dumper:
    """Return the function that makes, for a request, what encodes one item as JSON."""
    from velithon.responses.sse import dump_item

    if outcome.stream_field is None:
        return lambda request: dump_item
    validator, serializer = get_tools(outcome.stream_field)
    given = dump_options(options)

    def build_dump(request: object) -> Dump:
        def dump(item: object) -> bytes:
            try:
                value = validator.validate_python(item, from_attributes=True)
            except ValidationError as error:
                raise build_result_error(error, item, model, request) from error
            try:
                return serializer.to_json(value, **given)
            except PydanticSerializationError as error:
                raise explain(model.call, item, error) from error

        return dump

    return build_dump


def _build_event_stream(model: EndpointModel, options: ResponseOptions, outcome: Outcome) -> Build:
    from velithon.responses.sse import encode_event

    dumper = _build_dumper(model, options, outcome)

    def build(generator: Generated, request: object, arguments: dict[str, Any]) -> Response:
        dump = dumper(request)
        # The response takes items one by one, so that nothing has to be done for others to get their turn.
        items = _iterate(generator, lambda item: encode_event(item, dump), takes_turns=True)
        return outcome.response_class(items, **arguments)

    return build


def _build_json_lines(model: EndpointModel, options: ResponseOptions, outcome: Outcome) -> Build:
    dumper = _build_dumper(model, options, outcome)

    def build(generator: Generated, request: object, arguments: dict[str, Any]) -> Response:
        dump = dumper(request)
        items = _iterate(generator, lambda item: dump(item) + b"\n")
        return responses.StreamingResponse(items, media_type="application/jsonl", **arguments)  # type: ignore[arg-type]  # encoded

    return build


def _build_chunks(response_class: type[Response]) -> Build:
    streams = issubclass(response_class, StreamingResponse)

    def build(generator: Generated, request: object, arguments: dict[str, Any]) -> Response:
        content = generator
        if streams or hasattr(generator, "__aiter__"):
            content = _iterate(generator, None)
        return response_class(content=content, **arguments)

    return build


def _iterate(generator: Generated, encode: Dump | None, takes_turns: bool = False) -> AsyncIterator[object]:
    """Iterate over an endpoint's generator, a synchronous one in threads, its items encoded there.

    Args:
        generator: The endpoint's.
        encode: Makes of an item what is sent.
        takes_turns: Whether who iterates waits between two items anyway.
    """
    if hasattr(generator, "__aiter__"):
        return _encode_async(generator, encode, takes_turns)  # type: ignore[arg-type]  # it has `__aiter__`
    return iterate_in_threadpool(generator if encode is None else _encode_each(generator, encode))


async def _encode_async(
    items: AsyncIterable[object], encode: Dump | None, takes_turns: bool
) -> AsyncGenerator[object, None]:
    try:
        async for item in items:
            yield item if encode is None else encode(item)
            if not takes_turns:
                # A generator that never waits would keep every other request and its own cancellation waiting.
                await asyncio.sleep(0)
    finally:
        await close_iterator(items)


def _encode_each(items: Iterable[object], encode: Dump) -> Iterator[object]:
    try:
        for item in items:
            yield encode(item)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
