"""Data that requests and responses are made of, and the guide's view of a request's scope and protocol."""

from __future__ import annotations

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
from velithon_adapters.scope import asgi_headers

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

    What arrives is Starlette's `UploadFile`, which this class adds nothing to but its schemas.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(cls._check)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "contentMediaType": "application/octet-stream"}

    @staticmethod
    def _check(value: Any) -> StarletteUploadFile:
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
    """Starlette's `Headers` over an RSGI request: a look-up asks the server's object, the list is built on demand."""

    _built: list[tuple[bytes, bytes]] | None = None

    def __init__(self, scope: HTTPScope) -> None:
        self._scope = scope
        self._rsgi = scope.headers

    @property
    def _list(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        built = self._built
        if built is None:
            built = self._built = asgi_headers(self._scope)
        return built

    def get(self, key: str, default: Any = None) -> Any:
        value = self._rsgi.get(key)
        if value is None:
            # HTTP/2 names the host in `:authority`; the list has it as `host`.
            if key.lower() == "host" and self._scope.authority is not None:
                return self._scope.authority
            return default
        if key.lower() == "cookie":
            return super().get(key, default)
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
