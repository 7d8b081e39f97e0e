"""Reading forms: Starlette's parsers, fed with few large chunks, and files that keep what they are given.

What an upload costs is mostly the copying of its bytes. Here a chunk is cut out of the body once, and a file whose
content came in one chunk is that piece of memory.
"""

from __future__ import annotations

from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, cast

from starlette import formparsers

from velithon.datastructures import UploadFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import BinaryIO

__all__ = ["CHUNK_SIZE", "WHOLE_SIZE", "MultiPartParser", "joined"]

WHOLE_SIZE = 2 * 1024 * 1024
"""Bytes. A form whose announced length is no more is read whole before it is parsed: its files fit in memory anyway."""

CHUNK_SIZE = 128 * 1024
"""Bytes. A longer form is parsed in chunks of about this size; each costs a turn in a thread once a file is on disk."""


class SpooledFile(SpooledTemporaryFile[bytes]):
    """A temporary file that keeps its first bytes as they are, without a copy, and writes none twice."""

    def write(self, data: Any, /) -> int:
        """Write, on the disk where the file would grow over its limit."""
        held: Any = self._file
        if type(data) is bytes and type(held) is BytesIO:
            limit: int = self._max_size  # type: ignore[attr-defined]
            position = held.tell()
            if limit and position + len(data) > limit:
                self.rollover()
            elif position == 0 and not held.getbuffer().nbytes:
                held = self._file = BytesIO(data)
                held.seek(len(data))
                return len(data)
        return super().write(data)


class MultiPartParser(formparsers.MultiPartParser):
    """Starlette's parser, whose files are `SpooledFile`s."""

    def on_headers_finished(self) -> None:
        """Begin a field or a file."""
        super().on_headers_finished()
        part = self._current_part
        if part.file is not None:
            part.file.file.close()
            file = self._files_to_close_on_error[-1] = SpooledFile(max_size=self.spool_max_size)
            part.file = UploadFile(
                cast("BinaryIO", file), size=0, filename=part.file.filename, headers=part.file.headers
            )

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a field or a file: of a file, all but the first are copied only when they are written."""
        part = self._current_part
        if part.file is not None and part.file.size:
            piece: Any = memoryview(data)[start:end]
            self._file_parts_to_write.append((part, piece))
        else:
            super().on_part_data(data, start, end)


async def joined(stream: AsyncGenerator[bytes, None], size: int) -> AsyncGenerator[bytes, None]:
    """Yield what comes in pieces of at least `size` bytes, and then what is left."""
    pieces: list[bytes] = []
    held = 0
    async for chunk in stream:
        pieces.append(chunk)
        held += len(chunk)
        if held >= size:
            chunk = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            held = 0
            yield chunk
    if held:
        yield b"".join(pieces)
