"""Parses forms: multipart with Starlette's parser, URL-encoded ones with a faster one.

What an upload costs is mostly the copying of its bytes. Here a chunk is cut out of the body once, and a file whose
content came in one chunk is that piece of memory.
"""

from __future__ import annotations

import re
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, cast

from starlette import formparsers
from starlette.formparsers import MultiPartException

from velithon.datastructures import FormData, UploadFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import BinaryIO

__all__ = ["CHUNK_SIZE", "WHOLE_SIZE", "FormFields", "MultiPartParser", "join_pieces"]

WHOLE_SIZE = 2 * 1024 * 1024
"""Bytes. A form whose announced length is no more is read whole before it is parsed: its files fit in memory anyway."""

CHUNK_SIZE = 128 * 1024
"""Bytes. A longer form is parsed in chunks of about this size; each costs a turn in a thread once a file is on disk."""


class SpooledFile(SpooledTemporaryFile[bytes]):
    """A temporary file that keeps its first bytes without a copy.

    No byte is written twice.
    """

    def write(self, data: Any, /) -> int:
        """Write, on the disk where the file would grow over its limit."""
        held: object = self._file
        if type(data) is bytes and type(held) is BytesIO:
            limit: int = self._max_size  # type: ignore[attr-defined]  # of SpooledTemporaryFile, whose stub lacks it
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
        """Take a piece of a field or a file.

        Of a file, pieces after the first are copied only when they are written.
        """
        part = self._current_part
        if part.file is not None and part.file.size:
            piece: Any = memoryview(data)[start:end]
            self._file_parts_to_write.append((part, piece))
        else:
            super().on_part_data(data, start, end)


class TextForm(FormData):
    """The fields of a URL-encoded form, which holds no files."""

    async def close(self) -> None:
        """Do nothing: there are no files."""

    def __eq__(self, other: object) -> bool:
        return FormData(self.multi_items()) == other

    def __repr__(self) -> str:
        return f"FormData({self.multi_items()!r})"


class FormFields:
    """The fields of a URL-encoded form, by the rules and the limits of Starlette's parser.

    Args:
        max_fields: More are refused.
        max_part_size: Bytes of a field's name and value; more are refused.
    """

    def __init__(self, max_fields: float, max_part_size: int) -> None:
        self.max_fields = max_fields
        self.max_part_size = max_part_size
        self._items: list[tuple[str, Any]] = []
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take a piece of the body.

        Raises:
            MultiPartException: There are too many fields, or one is too large.
        """
        text = self._rest + chunk
        end = text.rfind(b"&")
        if end > 0:
            self._take(text[:end])
        self._rest = text[end + 1 :]
        self._check_size(self._rest)

    def finish(self, rest: bytes = b"") -> FormData:
        """Take the end of the body, and return the fields; raises as `feed` does."""
        rest = self._rest + rest
        if rest:
            self._take(rest)
        return TextForm(self._items)

    def _take(self, text: bytes) -> None:
        """Read whole fields."""
        if len(text) > self.max_part_size or len(self._items) + text.count(b"&") >= self.max_fields:
            self._check(text)
        pieces = text.decode("latin-1").replace("+", " ").split("&")
        fields = [piece.partition("=") for piece in pieces if piece]
        if b"%" in text:
            self._items += [(unescaped(name), unescaped(value)) for name, _, value in fields]
        else:
            self._items += [(name, value) for name, _, value in fields]

    def _check(self, text: bytes) -> None:
        """Look at each field where one may be over a limit: the first that is decides what the client is told."""
        for count, piece in enumerate(filter(None, text.split(b"&")), len(self._items) + 1):
            self._check_size(piece)
            if count > self.max_fields:
                raise MultiPartException(f"Too many fields. Maximum number of fields is {self.max_fields}.")

    def _check_size(self, piece: bytes) -> None:
        if len(piece) > self.max_part_size and len(piece) - (b"=" in piece) > self.max_part_size:
            raise MultiPartException(f"Field exceeded maximum size of {int(self.max_part_size / 1024)}KB.")


_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_DIGITS = "0123456789abcdefABCDEF"
_BYTES = {f"{high}{low}".encode(): bytes.fromhex(high + low) for high in _DIGITS for low in _DIGITS}
_NOT_ASCII = re.compile(r"([\x80-\xff]+)")


def unescaped(text: str) -> str:
    """Return what `urllib.parse.unquote` returns of text that was decoded as Latin-1, in less time."""
    if "%" not in text:
        return text
    if text.isascii():
        return _unescape_ascii(text.encode())
    runs = _NOT_ASCII.split(text)
    return "".join(run if index % 2 else _unescape_ascii(run.encode()) for index, run in enumerate(runs))


def _unescape_ascii(text: bytes) -> str:
    return _ESCAPE.sub(lambda found: _BYTES[found[1]], text).decode("utf-8", "replace")


async def join_pieces(stream: AsyncGenerator[bytes, None], size: int) -> AsyncGenerator[bytes, None]:
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
