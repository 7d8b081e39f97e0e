"""Headers, URLs, uploaded files, and the guide's names for RSGI's scope and protocol."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from starlette.datastructures import (
    URL,
    Address,
    CommaSeparatedStrings,
    FormData,
    Headers,
    ImmutableMultiDict,
    MultiDict,
    MutableHeaders,
    QueryParams,
    Secret,
    State,
    URLPath,
)
from starlette.datastructures import UploadFile as StarletteUploadFile

from velithon_adapters.http import RSGIProtocol as Protocol
from velithon_adapters.scope import RSGIScope as Scope
from velithon_adapters.scope import asgi_headers, is_token

if TYPE_CHECKING:
    from velithon_adapters.rsgi import HTTPScope

__all__ = [
    "URL",
    "Address",
    "CommaSeparatedStrings",
    "Default",
    "DefaultPlaceholder",
    "FormData",
    "Headers",
    "ImmutableMultiDict",
    "MultiDict",
    "MutableHeaders",
    "Protocol",
    "QueryParams",
    "Scope",
    "Secret",
    "State",
    "URLPath",
    "UploadFile",
]

T = TypeVar("T")


class UploadFile(StarletteUploadFile):
    """A file uploaded in a form; pydantic models and parameters may be annotated with it.

    Starlette's, with schemas; where one of Starlette's own comes from elsewhere it is as good.
    """

    if TYPE_CHECKING:
        # What was uploaded has both; only who makes one by hand can leave them out.
        filename: str
        size: int

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> object:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(cls._check_upload)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> dict[str, object]:
        return {"type": "string", "contentMediaType": "application/octet-stream"}

    @staticmethod
    def _check_upload(value: object) -> StarletteUploadFile:
        if not isinstance(value, StarletteUploadFile):
            raise ValueError(f"Expected UploadFile, received: {type(value)}")
        return value


class DefaultPlaceholder:
    """Marks a value that nobody chose, so that an outer level may still choose another."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __bool__(self) -> bool:
        return bool(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DefaultPlaceholder) and self.value == other.value

    def __hash__(self) -> int:
        return hash((DefaultPlaceholder, self.value))

    def __repr__(self) -> str:
        return f"Default({self.value!r})"


def Default(value: T) -> T:
    """Return `value` marked as a default that an application, router or include may still replace."""
    return cast("T", DefaultPlaceholder(value))


class RSGIHeaders(Headers):
    """Starlette's `Headers` over an RSGI request.

    A look-up asks the server's object; the list is built on demand.
    """

    _built: list[tuple[bytes, bytes]] | None = None

    def __init__(self, scope: HTTPScope) -> None:
        self._scope = scope
        self._rsgi = scope.headers

    @property
    def _list(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]  # a property where Starlette has an attribute
        built = self._built
        if built is None:
            built = self._built = asgi_headers(self._scope)
        return built

    def get(self, key: str, default: Any = None) -> Any:
        value = self._rsgi.get(key)
        name = key.lower()
        if name == "host":
            # The target's own authority stands above the header, in the list and so in `request.url`, too: a client
            # that sends two could else pass for a host that is allowed, and ask for another.
            authority = self._scope.authority
            if authority is not None:
                return authority
        if value is None:
            return default
        if name == "cookie":
            # HTTP/2 may split it, and the list has it whole. Not `super().get`, which asks `__getitem__` below.
            return super().__getitem__(key)
        return value

    def getlist(self, key: str) -> list[str]:
        if key.lower() in ("cookie", "host"):
            return super().getlist(key)
        return self._rsgi.get_all(key)

    def __getitem__(self, key: str) -> str:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return cast("str", value)

    def __contains__(self, key: Any) -> bool:
        return self.get(key) is not None


# RFC 9110 5.5; a value is Latin-1. What is outside of it RSGI servers leave out without a word, and some ASGI servers
# let it split the response.
_NO_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


@lru_cache(maxsize=512)
def normalize_header_name(name: str) -> str:
    """Return a header's name in lower case.

    Raises:
        ValueError: It is no token.
    """
    if not name.isascii() or not is_token(name.encode()):
        raise ValueError(f"A header's name is a token of RFC 9110, not {name!r}.")
    return name.lower()


def check_header(name: str, value: str) -> tuple[str, str]:
    """Return a header as it is sent, its name in lower case.

    Raises:
        ValueError: The name is no token, or the value holds a control character or one outside Latin-1.
    """
    if not (value.isascii() and value.isprintable()) and _NO_VALUE.search(value) is not None:
        raise ValueError(f"The value of header {name!r} holds a control character or one outside Latin-1: {value!r}.")
    return normalize_header_name(name), value
