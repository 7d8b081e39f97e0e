"""Response headers as the pairs of `str` that RSGI takes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders

from velithon.datastructures import check_header, normalize_header_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from velithon.responses.base import Response

__all__ = ["JSON_PAIRS", "Pairs", "ResponseHeaders", "content_type_pairs"]

Pairs = list[tuple[str, str]]


@lru_cache(maxsize=256)
def content_type_pairs(media_type: str | None, charset: str) -> Pairs:
    """Return the shared header list of a response with a media type alone.

    Never change it in place.

    Raises:
        ValueError: The media type holds a control character or one outside Latin-1.
    """
    if media_type is None:
        return []
    if media_type.startswith("text/") and "charset=" not in media_type.lower():
        media_type = f"{media_type}; charset={charset}"
    return [check_header("content-type", media_type)]


JSON_PAIRS = content_type_pairs("application/json", "utf-8")


def _remove_header(pairs: Iterable[tuple[str, str]], name: str) -> Pairs:
    return [pair for pair in pairs if pair[0] != name]


class ResponseHeaders(MutableHeaders):
    """Starlette's `MutableHeaders` over a response.

    The common calls work on its pairs of `str`, all others on bytes.

    Once somebody asked for bytes these are the truth. The length of the body is not among the pairs.
    """

    def __init__(self, response: Response) -> None:
        self._response = response

    @property
    def _list(self) -> list[tuple[bytes, bytes]]:
        return self._response.raw_headers

    @_list.setter
    def _list(self, value: list[tuple[bytes, bytes]]) -> None:
        self._response.raw_headers = value

    def _normalize_key(self, key: str) -> str | None:
        """Return the name in lower case, or `None` where only the bytes will do."""
        key = key.lower()
        return None if self._response._raw is not None or key == "content-length" else key

    def __setitem__(self, key: str, value: str) -> None:
        response = self._response
        name = normalize_header_name(key)
        if response._raw is not None or name == "content-length":
            super().__setitem__(key, value)
            return
        if not (value.isascii() and value.isprintable()):
            check_header(name, value)
        pairs = response._pairs or ()
        for known, _ in pairs:
            if known == name:
                response.set_header(name, value)
                return
        response._pairs = [*pairs, (name, value)]

    def __getitem__(self, key: str) -> str:
        name = self._normalize_key(key)
        if name is None:
            return super().__getitem__(key)
        value = self._response.get_header(name)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: Any) -> bool:
        name = self._normalize_key(key)
        return super().__contains__(key) if name is None else self._response.get_header(name) is not None

    def append(self, key: str, value: str) -> None:
        """Add a header beside those of the same name."""
        name = self._normalize_key(key)
        if name is None:
            super().append(key, value)
        else:
            self._response.append_header(*check_header(name, value))

    def setdefault(self, key: str, value: str) -> str:
        """Set a header unless it is there; return what is there then."""
        if key in self:
            return self[key]
        self[key] = value
        return value
