"""Reading the `Cookie` header, in time that grows with its length alone.

CPython's unquoting, which Starlette calls, takes the square of it before 3.11.10 and 3.12.6 (CVE-2024-7592).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["WithCookies", "parse_cookies"]

_unescape = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))").sub


def parse_cookies(headers: Iterable[str]) -> dict[str, str]:
    """Return the cookies by name, by the rules of `starlette.requests.cookie_parser`.

    Args:
        headers: The values of the `Cookie` headers.
    """
    cookies = {}
    for header in headers:
        for chunk in header.split(";"):
            name, equals, value = chunk.partition("=")
            if not equals:
                name, value = "", chunk
            name = name.strip()
            value = value.strip()
            if name or value:
                cookies[name] = _unquote(value) if '"' in value else value
    return cookies


def _unquote(value: str) -> str:
    if len(value) < 2 or not value[0] == value[-1] == '"':
        return value
    return _unescape(_decode_character, value[1:-1])


def _decode_character(match: re.Match[str]) -> str:
    return chr(int(match[1], 8)) if match[1] else match[2]


class WithCookies(HTTPConnection[Any]):
    """A connection of Starlette's whose cookies are parsed here."""

    _cookies: dict[str, str]

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        if not hasattr(self, "_cookies"):
            self._cookies = parse_cookies(self._get_cookie_headers())
        return self._cookies

    def _get_cookie_headers(self) -> list[str]:
        return self.headers.getlist("cookie")
