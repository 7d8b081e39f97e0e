"""URL-encoded forms are read as Starlette reads them, in time that a client cannot make long."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import unquote_plus

import pytest
from starlette import formparsers
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException

from tests.effort import examples
from velithon.requests.forms import FormParser, unquoted


def parse(parser: type[formparsers.FormParser], chunks: list[bytes], **limits: Any) -> Any:
    """Return the fields, or what was wrong."""

    async def stream() -> AsyncGenerator[bytes, None]:
        for chunk in chunks:
            yield chunk

    try:
        return asyncio.run(parser(Headers({}), stream(), **limits).parse()).multi_items()
    except MultiPartException as exc:
        return exc.message


def test_fields_are_those_of_starlette() -> None:
    """Random bytes, cut at random places, with and without limits."""
    draw = random.Random(1)
    for _ in range(examples(500, 50_000)):
        body = bytes(draw.choice(b"&&&===ab%%+;\xff\xc3\xa4 2fF0") for _ in range(draw.randint(0, 14)))
        cuts = sorted(draw.randint(0, len(body)) for _ in range(draw.randint(0, 3)))
        chunks = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        for limits in ({}, {"max_fields": 2}, {"max_part_size": 3}):
            assert parse(FormParser, chunks, **limits) == parse(formparsers.FormParser, chunks, **limits), chunks
        assert unquoted(body) == unquote_plus(body.decode("latin-1"))


@pytest.mark.parametrize("body", [b"&" * 1_000_000, b"%" * 1_000_000, b"+" * 1_000_000, b"a;" * 500_000, b"&=" * 900])
def test_a_megabyte_takes_less_than_a_tenth_of_a_second(body: bytes) -> None:
    """CVE-2026-53539 was quadratic; the others took long because each byte was looked at in Python."""
    chunks = [body[begin : begin + 131_072] for begin in range(0, len(body), 131_072)]
    begun = time.process_time()
    parse(FormParser, chunks)
    assert time.process_time() - begun < 0.1
