"""The classes behind `Query()`, `Path()`, `Body()` and so on.

They say where a parameter comes from and what it must look like.

Each is a pydantic `FieldInfo`, so constraints, aliases and documentation mean what they mean on a model's field. (Its
stub says final; its code makes room for these very subclasses.) Their options are declared once, in `ParamOptions`.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from pydantic import AliasChoices, AliasPath, Discriminator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typing_extensions import Unpack

from velithon.compat.guise import Guised
from velithon.exceptions import VelithonDeprecationWarning

if TYPE_CHECKING:
    from annotated_types import SupportsGe, SupportsGt, SupportsLe, SupportsLt
    from typing_extensions import deprecated as Deprecated

    from velithon._runtime.json_values import JSONObject

__all__ = [
    "Body",
    "Cookie",
    "Depends",
    "File",
    "Form",
    "Header",
    "Param",
    "ParamOptions",
    "ParamTypes",
    "Path",
    "Query",
    "Security",
]

Undefined = PydanticUndefined


class ParamTypes(Enum):
    """The places outside the body, with the words that OpenAPI and error locations use."""

    query = "query"
    header = "header"
    path = "path"
    cookie = "cookie"

    def __eq__(self, other: object) -> bool:
        """Tell the same place, in FastAPI's words too: its code looks at our markers."""
        return type(other).__name__ == "ParamTypes" and self.value == getattr(other, "value", None)

    __hash__ = Enum.__hash__


class ParamOptions(TypedDict, total=False):
    """What every parameter can say about itself; lengths count characters or items."""

    default_factory: Callable[[], object] | None
    annotation: object
    alias: str | None
    alias_priority: int | None
    validation_alias: str | AliasPath | AliasChoices | None
    serialization_alias: str | None
    title: str | None
    description: str | None
    gt: SupportsGt | None
    ge: SupportsGe | None
    lt: SupportsLt | None
    le: SupportsLe | None
    min_length: int | None
    max_length: int | None
    pattern: str | re.Pattern[str] | None
    regex: str | None
    discriminator: str | Discriminator | None
    strict: bool | None
    validate_default: bool | None
    union_mode: Literal["smart", "left_to_right"] | None
    fail_fast: bool | None
    multiple_of: float | None
    allow_inf_nan: bool | None
    max_digits: int | None
    decimal_places: int | None
    examples: list[Any] | None
    example: object
    openapi_examples: Mapping[str, object] | None
    deprecated: Deprecated | str | bool | None
    include_in_schema: bool
    json_schema_extra: JSONObject | Callable[[JSONObject], None] | None


_OPTIONS = frozenset(ParamOptions.__annotations__)
# What `None` takes away again, where `Annotated` metadata before it says something.
_CLEARED = ("alias", "title", "description", "examples", "deprecated", "json_schema_extra")
_BETTER = {"regex": "`pattern`", "example": "`examples=[...]`"}
_OURS = frozenset({"example", "openapi_examples", "include_in_schema", "regex"})


class _Field(Guised, FieldInfo):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """A pydantic field with what the HTTP world adds to it."""

    example: object
    openapi_examples: Mapping[str, object] | None
    include_in_schema: bool
    cleared: Sequence[str] = ()

    def __init__(self, default: object = Undefined, **options: Any) -> None:
        unknown = options.keys() - _OPTIONS
        if unknown:
            names = ", ".join(sorted(unknown))
            raise TypeError(f"{type(self).__name__}() has no option {names}; it takes {', '.join(sorted(_OPTIONS))}")
        self.example = options.get("example", Undefined)
        self.openapi_examples = options.get("openapi_examples")
        self.include_in_schema = options.get("include_in_schema", True)
        given: dict[str, Any] = {
            name: value for name, value in options.items() if name not in _OURS and value is not None
        }
        self.cleared = [name for name in _CLEARED if name in options and options[name] is None]
        if "alias" in self.cleared:
            self.cleared += ["validation_alias", "serialization_alias"]
        for name, better in _BETTER.items():
            if options.get(name) is not None:
                warnings.warn(
                    f"`{name}` has been deprecated: say {better}.",
                    VelithonDeprecationWarning,
                    stacklevel=_find_user_level(),
                )
        regex = options.get("regex")
        if regex is not None:
            given.setdefault("pattern", regex)
        alias = given.get("alias")
        if alias is not None:
            given.setdefault("validation_alias", alias)
            given.setdefault("serialization_alias", alias)
        super().__init__(default=default, **given)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.default})"


def _find_user_level() -> int:
    """Return the `stacklevel` of whoever called from outside this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("velithon."):
        level, frame = level + 1, frame.f_back
    return level


class _Info(_Field):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """A marker that may stand as a default.

    To a type checker, calling it makes a value of the parameter's type.
    """

    if TYPE_CHECKING:

        def __new__(cls, default: object = ..., **options: Unpack[ParamOptions]) -> Any: ...


class Param(_Info):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """A parameter outside the body."""

    in_: ParamTypes


class Path(Param):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """A part of the path; it is always required."""

    in_ = ParamTypes.path

    if TYPE_CHECKING:

        def __new__(cls, default: object = ..., **options: Unpack[ParamOptions]) -> Any: ...

    else:

        def __init__(self, default: object = ..., **options: Unpack[ParamOptions]) -> None:
            """Take the options of `ParamOptions`.

            Raises:
                TypeError: A default was given: a path without its parameter is another path.
            """
            if default is not ... and default is not Undefined:
                raise TypeError(f"Path() takes no default value, {default!r} was given: write Path() or Path(...).")
            super().__init__(..., **options)


class Query(Param):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """A part of the query string."""

    in_ = ParamTypes.query


class Header(Param):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """A request header; underscores of the name become hyphens unless `convert_underscores` is false."""

    in_ = ParamTypes.header
    convert_underscores: bool

    if TYPE_CHECKING:

        def __new__(
            cls, default: object = ..., *, convert_underscores: bool = ..., **options: Unpack[ParamOptions]
        ) -> Any: ...

    else:

        def __init__(
            self, default: object = Undefined, *, convert_underscores: bool = True, **options: Unpack[ParamOptions]
        ) -> None:
            """Take the options of `ParamOptions`.

            Args:
                default: The value when the header is absent; none makes it required.
                convert_underscores: Whether `user_agent` reads `user-agent`.
                **options: See `ParamOptions`.
            """
            self.convert_underscores = convert_underscores
            super().__init__(default, **options)


class Cookie(Param):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """A cookie."""

    in_ = ParamTypes.cookie


class Body(_Info):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """The body, or one key of it."""

    embed: bool | None
    media_type: str

    if TYPE_CHECKING:

        def __new__(
            cls,
            default: object = ...,
            *,
            embed: bool | None = ...,
            media_type: str = ...,
            **options: Unpack[ParamOptions],
        ) -> Any: ...

    else:

        def __init__(
            self,
            default: object = Undefined,
            *,
            embed: bool | None = None,
            media_type: str = "application/json",
            **options: Unpack[ParamOptions],
        ) -> None:
            """Take the options of `ParamOptions`.

            Args:
                default: The value when the body, or this key of it, is absent; none makes it required.
                embed: Whether a single body stands under its name: `{"item": {...}}`.
                media_type: The media type that the OpenAPI document names.
                **options: See `ParamOptions`.
            """
            self.embed = embed
            self.media_type = media_type
            super().__init__(default, **options)


class Form(Body):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """A field of a form, URL-encoded or multipart."""

    if TYPE_CHECKING:

        def __new__(cls, default: object = ..., *, media_type: str = ..., **options: Unpack[ParamOptions]) -> Any: ...

    else:

        def __init__(
            self,
            default: object = Undefined,
            *,
            media_type: str = "application/x-www-form-urlencoded",
            **options: Unpack[ParamOptions],
        ) -> None:
            """Take the options of `ParamOptions`.

            Args:
                default: The value when the field is absent or empty; none makes it required.
                media_type: The media type that the OpenAPI document names.
                **options: See `ParamOptions`.
            """
            super().__init__(default, media_type=media_type, **options)


class File(Form):  # type: ignore[misc]  # pydantic calls FieldInfo final, and FastAPI extends it too
    """An uploaded file, as `UploadFile` or as its `bytes`."""

    if TYPE_CHECKING:

        def __new__(cls, default: object = ..., *, media_type: str = ..., **options: Unpack[ParamOptions]) -> Any: ...

    else:

        def __init__(
            self,
            default: object = Undefined,
            *,
            media_type: str = "multipart/form-data",
            **options: Unpack[ParamOptions],
        ) -> None:
            """Take the options of `ParamOptions`.

            Args:
                default: The value when no file was chosen; none makes it required.
                media_type: The media type that the OpenAPI document names.
                **options: See `ParamOptions`.
            """
            super().__init__(default, media_type=media_type, **options)


Scope = Literal["function", "request", "app"]


@dataclass(frozen=True)
class Depends(Guised):
    """A value made by a callable whose own parameters are read as an endpoint's are.

    Attributes:
        dependency: The callable; none means the parameter's annotation.
        use_cache: Whether one request shares one value among all who ask for it.
        scope: When the code after `yield` runs: before the response is sent ("function"), after it ("request", which
            a generator has unless it says otherwise), or at shutdown ("app": made once per application).
        max_concurrency: How many calls may run at the same time in one event loop, with what they yield still in use.
        raises: `HTTPException` classes, or instances, that documents show as responses of whoever depends on this.
    """

    dependency: Callable[..., object] | None = None
    use_cache: bool = True
    scope: Scope | None = None
    max_concurrency: int | None = field(default=None, kw_only=True)
    raises: Sequence[object] = field(default=(), compare=False, kw_only=True)
    # A `Concurrency`; pydantic reads this annotation where a model has a field of this class.
    _concurrency: Any = field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.scope not in (None, "function", "request", "app"):
            raise ValueError(f'scope must be "function", "request" or "app", not {self.scope!r}')
        if self.max_concurrency is None:
            return
        if type(self.max_concurrency) is not int or self.max_concurrency < 1:
            raise ValueError(f"max_concurrency must be a positive integer or None, not {self.max_concurrency!r}")
        if self._concurrency is None:
            from velithon.signature.dependencies import Concurrency

            object.__setattr__(self, "_concurrency", Concurrency(self.max_concurrency))


@dataclass(frozen=True)
class Security(Depends):
    """A dependency that asks for OAuth2 scopes.

    Attributes:
        scopes: The scopes' names, added to those of the dependants above.
    """

    scopes: Sequence[str] | None = None
