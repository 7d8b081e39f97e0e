"""Values as short text for the debug page, without secrets.

A `repr` that raises does no harm.
"""

from __future__ import annotations

import dataclasses
import re
import reprlib
from collections.abc import Mapping
from typing import Any

from starlette.requests import HTTPConnection

__all__ = ["MASK", "format_value", "is_secret", "mask_secrets"]

MASK = "••••••"

_DEPTH = 4
_ITEMS = 30
_LENGTH = 600  # characters of one value
_WORDS = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|access_?key|private_?key|signing_?key|auth(?:orization)?|bearer|"
    r"credential|cookie|session_?id|csrf|xsrf|signature|dsn|otp|pin|ssn|cvv|card_?number|salt|jwt"
)
_SECRET = re.compile(rf"(^|[^a-z])({_WORDS})s?($|[^a-z])")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# In text that somebody else made: `password='...'`, `"token": "..."`, `?token=...`, `://user:...@`, `Bearer ...`.
_ASSIGNED = re.compile(rf"""(?i)(\b[\w-]*(?:{_WORDS})[\w-]*["']?\s*[=:]\s*b?)(["'])(?:(?!\2).)*(\2|$)""")
_IN_QUERY = re.compile(rf"""(?i)([?&][\w-]*(?:{_WORDS})[\w-]*=)[^&\s"']+""")
_IN_URL = re.compile(r"(?<=://)([^\s:/@'\"]*):[^\s/'\"]*@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}")
# A password's hash, wherever it stands: `$argon2id$v=19$...`, `$2b$12$...`, `pbkdf2_sha256$600000$...`.
_HASH = re.compile(r"(?:\$(?:argon2\w*|2[abxy]?|scrypt|pbkdf2[\w-]*|[156y])|\bpbkdf2_\w+)\$[\w./+=,$-]{12,}")


class _Repr(reprlib.Repr):
    """Python's own shortening `repr`, which lets no object of the application raise."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _LENGTH
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = self.maxdeque = _ITEMS

    def repr_instance(self, x: object, level: int) -> str:
        try:
            text = repr(x)
        except Exception as error:  # noqa: BLE001 - an object's own code, and the page is about another error
            return f"<{type(x).__name__}, whose repr raised {type(error).__name__}>"
        return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"


_repr = _Repr()


def is_secret(name: str) -> bool:
    """Tell whether a name is one of what should not be shown: `password`, `X-API-Key`, `accessToken`."""
    return _SECRET.search(_CAMEL.sub("_", name).lower().replace("-", "_")) is not None


def mask_secrets(text: str) -> str:
    """Return text without the secrets that can be told in it."""
    text = _ASSIGNED.sub(rf"\1\2{MASK}\3", text)
    text = _IN_QUERY.sub(rf"\1{MASK}", text)
    text = _IN_URL.sub(rf"\1:{MASK}@", text)
    text = _HASH.sub(MASK, text)
    return _BEARER.sub(rf"\1 {MASK}", text)


def format_value(name: str, value: object) -> str:
    """Return a value as the debug page shows it under a name."""
    if is_secret(name):
        return MASK
    text = mask_secrets(_format_value(value, _DEPTH))
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"


def _format_value(value: Any, depth: int) -> str:
    if depth == 0:
        return "…"
    if isinstance(value, HTTPConnection):
        return f"<{type(value).__name__} {value.scope.get('method', 'WebSocket')} {value.scope.get('path')}>"
    if isinstance(value, Mapping) and type(value).__module__ != "os":
        return _format_mapping(value, depth)
    if type(value) is tuple and len(value) == 2 and isinstance(value[0], str | bytes):
        # As headers and form fields come.
        return f"({_repr.repr(value[0])}, {_format_field(value[0], value[1], depth)})"
    if type(value) in (list, tuple):
        inner = ", ".join(_format_value(item, depth - 1) for item in value[:_ITEMS])
        more = ", …" if len(value) > _ITEMS else "," if type(value) is tuple and len(value) == 1 else ""
        return f"[{inner}{more}]" if type(value) is list else f"({inner}{more})"
    if hasattr(type(value), "model_fields") or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        fields = getattr(value, "__dict__", {})
        inner = ", ".join(f"{key}={_format_field(key, item, depth)}" for key, item in list(fields.items())[:_ITEMS])
        return f"{type(value).__name__}({inner})"
    return _repr.repr(value)


def _format_mapping(value: Mapping[object, object], depth: int) -> str:
    try:
        items = [(key, value[key]) for key, _ in zip(value, range(_ITEMS), strict=False)]
    except Exception:  # noqa: BLE001 - a mapping of the application's own
        return _repr.repr(value)
    inner = ", ".join(f"{_repr.repr(key)}: {_format_field(key, item, depth)}" for key, item in items)
    more = ", …" if len(value) > _ITEMS else ""
    return f"{{{inner}{more}}}" if type(value) is dict else f"{type(value).__name__}({{{inner}{more}}})"


def _format_field(key: object, value: object, depth: int) -> str:
    name = key.decode("latin-1") if isinstance(key, bytes) else key
    return MASK if isinstance(name, str) and is_secret(name) else _format_value(value, depth - 1)
