"""The end of a request's body, as Granian tells of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from velithon_adapters.body import BodyChunks, read_http2
from velithon_adapters.rsgi import ProtocolClosed

pytestmark = pytest.mark.asyncio

ENDLESS = 1000


class Granian:
    """The part of Granian's protocol that reads, with the chunks it was measured to give.

    Args:
        chunks: What the iteration gives.
        gone: Whether the client is known to be gone.
    """

    def __init__(self, *chunks: bytes, gone: bool = False) -> None:
        self.chunks = chunks
        self.gone = gone

    async def __call__(self) -> bytes:
        return b"".join(self.chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    async def client_disconnect(self) -> None:
        if not self.gone:
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("chunks", "length", "http2"),
    [
        ((b"a", b"b", b""), None, False),
        ((b"a", b"b", b""), 2, False),
        ((b"a", b"b", b""), None, True),
        ((b"a", b"b", b"", b""), None, True),
        ((b"a", b"", b"b", b""), None, True),
    ],
)
async def test_a_complete_body(chunks: tuple[bytes, ...], length: int | None, http2: bool) -> None:
    """It is given without the empty chunks of its end."""
    assert [chunk async for chunk in BodyChunks(Granian(*chunks), length, http2)] == [b"a", b"b"]  # type: ignore[arg-type] # the part that reads


@pytest.mark.parametrize(
    ("chunks", "gone", "length", "http2"),
    [
        ((b"a", b"", b""), False, None, False),
        ((b"a", b""), False, 2, False),
        ((b"a", b""), False, 2, True),
        ((b"a", b""), True, None, True),
        ((b"a", *[b""] * ENDLESS), False, None, True),
        ((b"a", *[b""] * ENDLESS), False, 2, True),
    ],
)
async def test_a_broken_body(chunks: tuple[bytes, ...], gone: bool, length: int | None, http2: bool) -> None:
    """What came is given, and then an exception instead of the end."""
    body = BodyChunks(Granian(*chunks, gone=gone), length, http2)  # type: ignore[arg-type] # as above
    assert await anext(body) == b"a"
    with pytest.raises(ProtocolClosed):
        await anext(body)


async def test_the_whole_body_over_http2() -> None:
    """A reset that Granian takes for the end is told from it."""
    assert await read_http2(Granian(b"ab"), 2) == b"ab"  # type: ignore[arg-type] # as above
    assert await read_http2(Granian(b"ab"), None) == b"ab"  # type: ignore[arg-type] # as above
    assert await read_http2(Granian(gone=True), None) == b""  # type: ignore[arg-type] # as above
    for protocol, length in ((Granian(b"a"), 2), (Granian(b"a", gone=True), None)):
        with pytest.raises(ProtocolClosed):
            await read_http2(protocol, length)  # type: ignore[arg-type] # as above
