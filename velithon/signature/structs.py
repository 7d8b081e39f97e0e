"""msgspec's Structs and attrs classes: msgspec validates, writes and documents them.

Imported when an annotation holds such a class. pydantic sees the largest parts of an annotation that are msgspec's
alone as one validator (`Bridge`), so that lists, unions and combined bodies may mix both. Parameters, whose values come
as text, are validated by a pydantic model of the same fields (`build_shape`), as all other parameters are.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, create_model
from pydantic import Field as PydanticField
from pydantic_core import InitErrorDetails, ValidationError, core_schema

from velithon.encoders import jsonable_encoder
from velithon.signature.annotations import (
    find_struct,
    holds_structs,
    is_optional,
    is_struct,
    is_union,
    list_members,
    strip_metadata,
)
from velithon.signature.struct_errors import build_details

try:
    import msgspec
except ImportError as error:
    raise ImportError('attrs classes as models need the package msgspec: pip install "velithon[msgspec]"') from error

MARK = "x-velithon-struct"
"""The key under which the schema of a `Bridge` holds it, until a document puts msgspec's schema there."""

UNREADABLE = (ValueError, RecursionError)
"""What decoding raises for bytes that do not fit; msgspec's own errors are among them."""

_SAID = (
    *("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern"),
    *("title", "description", "examples"),
)
_FOREIGN = ("pydantic", "annotated_types", "velithon")


class StructError(TypeError):
    """A class that msgspec cannot read as it is declared."""


class Bridge:
    """A part of an annotation that msgspec reads, as a schema of pydantic.

    The schema has a validator and a serializer.
    """

    def __init__(self, kind: object) -> None:
        self.kind = kind

    def validate(self, value: object) -> object:
        """Return a value of the kind.

        Raises:
            ValidationError: It is none; each error says where.
        """
        try:
            return msgspec.convert(value, self.kind, from_attributes=True, str_keys=True)
        except msgspec.ValidationError as error:
            raise build_struct_error(self.kind, value, error) from error

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate, serialization=core_schema.plain_serializer_function_ser_schema(msgspec.to_builtins)
        )

    def __get_pydantic_json_schema__(self, schema: object, handler: object) -> dict[str, object]:
        return {MARK: self}


class StructTools:
    """Validates and writes an annotation that msgspec reads, with pydantic's methods.

    Args:
        kind: The annotation.
    """

    def __init__(self, kind: object) -> None:
        self._validate = Bridge(kind).validate
        self.write = msgspec.json.Encoder().encode

    def validate_python(self, value: object, from_attributes: bool) -> object:
        """Return a value of the kind.

        Raises:
            ValidationError: It is none.
        """
        return self._validate(value)

    def to_python(self, value: object, *, mode: str, by_alias: bool, **chosen: Any) -> Any:
        """Return a value as JSON's types; `chosen` may have `include`, `exclude` and `exclude_none`."""
        data = msgspec.to_builtins(value, str_keys=True)
        return jsonable_encoder(data, **chosen) if chosen else data

    def to_json(self, value: object, *, by_alias: bool, **chosen: object) -> bytes:
        """Return a value as JSON; `chosen` may have `include`, `exclude` and `exclude_none`."""
        return self.write(self.to_python(value, mode="json", by_alias=by_alias, **chosen) if chosen else value)


def build_struct_error(kind: object, value: object, error: msgspec.ValidationError) -> ValidationError:
    """Return pydantic's exception with every error of a value, where msgspec tells the first."""
    details = [*_find_errors(kind, value, ())] or [build_details(str(error), (), value)]
    return ValidationError.from_exception_data(getattr(kind, "__name__", "Struct"), details)


def _find_errors(kind: object, value: object, location: tuple[str | int, ...]) -> Iterator[InitErrorDetails]:
    found = False
    for inner, item, key in _iterate_children(strip_metadata(kind), value):
        for details in _find_errors(inner, item, (*location, key)):
            found = True
            yield details
    if isinstance(value, dict) and is_struct(kind):
        for struct_field in list_struct_fields(kind):
            if struct_field.required and struct_field.encode_name not in value:
                found = True
                yield InitErrorDetails(type="missing", loc=(*location, struct_field.encode_name), input=value)
    if found:
        return
    try:
        msgspec.convert(value, kind, from_attributes=True, str_keys=True)
    except msgspec.ValidationError as error:
        yield build_details(str(error), location, value)


def _iterate_children(kind: object, value: object) -> Iterator[tuple[object, object, str | int]]:
    """Yield (kind, value, key) of what a value holds, where its kind says."""
    if is_optional(kind) and len(list_members(kind)) == 1:
        kind = strip_metadata(list_members(kind)[0])
    if is_struct(kind) and isinstance(value, dict):
        for item in list_struct_fields(kind):
            if item.encode_name in value:
                yield item.type, value[item.encode_name], item.encode_name
    elif isinstance(value, list) and get_origin(kind) in (list, set, frozenset):
        for index, item in enumerate(value):
            yield get_args(kind)[0], item, index
    elif isinstance(value, dict) and get_origin(kind) is dict:
        for key, item in value.items():
            yield get_args(kind)[1], item, key


class StructField(typing.NamedTuple):
    """A field of a Struct or an attrs class.

    Attributes:
        name: Its name in Python.
        encode_name: Its name on the wire.
        type: Its annotation.
        required: Whether it has no default.
        default: Makes its default.
    """

    name: str
    encode_name: str
    type: object
    required: bool
    default: Callable[[], object]


@lru_cache(maxsize=1024)
def list_struct_fields(kind: object) -> tuple[StructField, ...]:
    """Return the fields of a Struct or an attrs class."""
    hints = typing.get_type_hints(kind, include_extras=True)
    info: Any = msgspec.inspect.type_info(kind)
    return tuple(
        StructField(field.name, field.encode_name, hints[field.name], field.required, partial(_make_default, field))
        for field in info.fields
    )


def _make_default(field: msgspec.inspect.Field) -> object:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


# What an annotation is for pydantic


def bridge_structs(annotation: object, *, is_parameter: bool) -> object:
    """Return an annotation as pydantic takes it.

    Args:
        annotation: It holds Structs or attrs classes.
        is_parameter: Whether its fields are parameters of a query, of headers, cookies or a form.

    Raises:
        StructError: msgspec cannot read a class of it.
    """
    if is_parameter:
        return _shape_annotation(annotation)
    if is_native(annotation):
        return Annotated[Any, Bridge(annotation)]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Annotated[(bridge_structs(arguments[0], is_parameter=False), *arguments[1:])]
    inner = tuple(bridge_structs(part, is_parameter=False) if holds_structs(part) else part for part in arguments)
    if is_union(annotation):
        return Union[inner]  # noqa: UP007
    return origin[inner]  # type: ignore[index]  # what has arguments has an origin


def is_native(annotation: object) -> bool:
    """Tell whether msgspec reads all of an annotation that holds Structs or attrs classes.

    Raises:
        StructError: It cannot read a class of it.
    """
    is_whole = is_struct(get_origin(annotation) or annotation)
    try:
        unknown = _find_unknown_classes(annotation)
    except StructError:
        raise
    except (TypeError, NameError) as error:
        if is_whole:
            raise StructError(f"msgspec cannot read {_format_annotation(annotation)}: {error}") from error
        return False  # a union of several, which pydantic chooses from
    if unknown and is_whole:
        raise StructError(
            f"msgspec does not know {', '.join(map(_format_annotation, unknown))}, "
            f"which {_format_annotation(annotation)} holds: "
            "make it a Struct, a dataclass or an attrs class, or the whole a pydantic model"
        )
    return not unknown


def _format_annotation(annotation: object) -> str:
    return getattr(annotation, "__qualname__", None) or repr(annotation)


def _find_unknown_classes(annotation: object) -> list[type]:
    """Return the classes in an annotation that msgspec does not know, at any depth.

    Raises for what msgspec would ignore.
    """
    unknown: list[type] = []
    seen: set[int] = set()
    waiting: list[object] = [msgspec.inspect.type_info(annotation)]
    while waiting:
        info = waiting.pop()
        if isinstance(info, tuple):
            waiting.extend(info)
            continue
        if not isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field) or id(info) in seen:
            continue
        seen.add(id(info))
        if isinstance(info, msgspec.inspect.CustomType):
            unknown.append(info.cls)
        elif is_struct(kind := getattr(info, "cls", None)):
            _check_declaration(kind)
        waiting.extend(getattr(info, name) for name in info.__struct_fields__)
    return unknown


def _check_declaration(kind: object) -> None:
    """Raise for what a class says and msgspec would ignore."""
    for item in list_struct_fields(kind):
        ignored = [
            type(part).__name__ for part in _iterate_metadata(item.type) if type(part).__module__.startswith(_FOREIGN)
        ]
        if ignored:
            raise StructError(
                f"{_format_annotation(kind)}.{item.name} has {ignored[0]} in Annotated, which msgspec ignores: "
                "say msgspec.Meta(...)"
            )
    for attribute in getattr(kind, "__attrs_attrs__", ()):
        if attribute.alias not in (attribute.name, attribute.name.lstrip("_")):
            raise StructError(
                f"{_format_annotation(kind)}.{attribute.name} has an alias, which msgspec ignores: leave it out"
            )
        if not attribute.init or attribute.converter is not None:
            option = "converter=" if attribute.init else "init=False"
            raise StructError(
                f"{_format_annotation(kind)}.{attribute.name} has {option}, which msgspec ignores: leave it out"
            )


def _iterate_metadata(annotation: object) -> Iterator[object]:
    if get_origin(annotation) is Annotated:
        yield from get_args(annotation)[1:]
    for part in get_args(annotation):
        yield from _iterate_metadata(part)


# Parameters


def _shape_annotation(annotation: object) -> object:
    kind = find_struct(annotation)
    if kind is None:
        raise StructError(f"The fields of one Struct or attrs class are parameters, {annotation!r} is something else")
    made: Any = Annotated[(build_shape(kind), AfterValidator(partial(_build_from_shape, kind)))]
    return made | None if is_optional(annotation) else made


@lru_cache(maxsize=1024)
def build_shape(kind: type) -> type[BaseModel]:
    """Return a pydantic model that reads a Struct's or attrs class's fields from text."""
    definitions: dict[str, Any] = {}
    for item in list_struct_fields(kind):
        options: dict[str, Any] = {} if item.required else {"default_factory": item.default}
        if not item.required and isinstance(default := item.default(), str | int | float | bool | None):
            options = {"default": default}
        for meta in _iterate_metadata(item.type):
            if isinstance(meta, msgspec.Meta):
                given = ((name, getattr(meta, name)) for name in _SAID)
                options.update((name, value) for name, value in given if value is not None)
        if item.encode_name != item.name:
            options["alias"] = item.encode_name
        definitions[item.name] = (_strip_annotated(item.type), PydanticField(**options))
    forbids = getattr(getattr(kind, "__struct_config__", None), "forbid_unknown_fields", False)
    config = ConfigDict(extra="forbid" if forbids else "ignore", allow_inf_nan=False)
    return create_model(kind.__name__, __config__=config, __doc__=kind.__doc__, **definitions)


def _strip_annotated(annotation: object) -> object:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _build_from_shape(kind: object, shape: BaseModel) -> object:
    names = {item.name: item.encode_name for item in list_struct_fields(kind)}
    values = {names[name]: getattr(shape, name) for name in shape.model_fields_set}
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise build_struct_error(kind, values, error) from error


# Bodies and responses


def find_bytes_decoder(annotation: object) -> Callable[[bytes], object] | None:
    """Return what reads an annotation from JSON bytes; none where part of it is pydantic's."""
    return msgspec.json.Decoder(annotation).decode if is_native(annotation) else None


def check_options(given: Mapping[str, object]) -> None:
    """Refuse what a response model of pydantic can leave out and msgspec cannot.

    Raises:
        StructError: One of the options means nothing for Structs.
    """
    wrong = [name for name in ("exclude_unset", "exclude_defaults") if name in given]
    if wrong:
        raise StructError(f"response_model_{wrong[0]} means nothing for Structs: say omit_defaults=True at the class")
    if not given["by_alias"]:
        raise StructError("response_model_by_alias=False means nothing for Structs: their names are those of rename=")
    for name in ("include", "exclude"):
        if isinstance(given.get(name), Mapping):
            raise StructError(f"response_model_{name} takes a set of names for Structs, not a mapping")
