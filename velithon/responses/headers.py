"""Response headers as the pairs of `str` that RSGI takes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = ["JSON_PAIRS", "Pairs", "content_type_pairs"]


Pairs = list[tuple[str, str]]


@lru_cache(maxsize=256)
def content_type_pairs(media_type: str | None, charset: str) -> Pairs:
    """Return the shared header list of a response that has a media type and nothing else. Never change it in place."""
    if media_type is None:
        return []
    if media_type.startswith("text/") and "charset=" not in media_type.lower():
        media_type = f"{media_type}; charset={charset}"
    return [("content-type", media_type)]


JSON_PAIRS = content_type_pairs("application/json", "utf-8")


def _without(pairs: Iterable[tuple[str, str]], name: str) -> Pairs:
    return [pair for pair in pairs if pair[0] != name]
