"""Encodes any object for JSON: as Python data (``jsonable_encoder``) or bytes (``json_bytes``).

The bytes are made by orjson wherever that gives what ``json.dumps(jsonable_encoder(...))`` would, which takes twenty
times as long. Where the two differ, the slow way decides.
"""

from __future__ import annotations

import dataclasses
import datetime
import inspect
import json
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from re import Pattern
from types import GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import orjson
from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, PydanticUndefined, Url

from velithon.exceptions import PydanticV1NotSupportedError

if TYPE_CHECKING:
    from pydantic.main import IncEx

__all__ = [
    "ENCODERS_BY_TYPE",
    "decimal_encoder",
    "has_non_finite",
    "isoformat",
    "json_bytes",
    "jsonable_encoder",
]

Encoder = Callable[[Any], object]


def isoformat(value: datetime.date | datetime.time) -> str:
    """Return a date, a time or both in ISO 8601."""
    return value.isoformat()


def decimal_encoder(value: Decimal) -> int | float:
    """Return a whole ``Decimal`` as ``int``, which survives a round trip; others as ``float``."""
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


def _decode_text(value: bytes) -> str:
    # As everywhere where a client's bytes become text, so that none of them makes an answer impossible.
    return value.decode(errors="replace")


ENCODERS_BY_TYPE: dict[type, Encoder] = {
    bytes: _decode_text,
    datetime.date: isoformat,
    datetime.datetime: isoformat,
    datetime.time: isoformat,
    datetime.timedelta: datetime.timedelta.total_seconds,
    Decimal: decimal_encoder,
    IPv4Address: str,
    IPv4Interface: str,
    IPv4Network: str,
    IPv6Address: str,
    IPv6Interface: str,
    IPv6Network: str,
    Pattern: lambda pattern: pattern.pattern,
    SecretBytes: str,
    SecretStr: str,
    UUID: str,
    Url: str,
}
"""How a type without a JSON form of its own is encoded; subclasses follow. Extend it for types of your own."""

# Types that pydantic imports slowly, or that another package brings; told by name so that nothing is imported for them.
_TEXT_TYPES = frozenset(
    {
        ("pydantic.networks", "_BaseUrl"),
        ("pydantic.networks", "_BaseMultiHostUrl"),
        ("pydantic.networks", "NameEmail"),
        ("pydantic.color", "Color"),
        ("pydantic_extra_types.color", "Color"),
    }
)


# The names of fields, or a mapping of them, as `include` and `exclude` take them.
_Names = Iterable[object] | None


class _Options(NamedTuple):
    by_alias: bool
    exclude_unset: bool
    exclude_defaults: bool
    exclude_none: bool
    custom_encoder: dict[type, Encoder]
    sqlalchemy_safe: bool


def jsonable_encoder(
    obj: object,
    include: IncEx | None = None,
    exclude: IncEx | None = None,
    by_alias: bool = True,
    exclude_unset: bool = False,
    exclude_defaults: bool = False,
    exclude_none: bool = False,
    custom_encoder: dict[Any, Callable[[Any], Any]] | None = None,
    sqlalchemy_safe: bool = True,
) -> Any:
    """Return ``obj`` as dictionaries, lists, strings, numbers, booleans and ``None``.

    Args:
        obj: Anything: models, dataclasses, mappings, iterables, objects with attributes.
        include: Keep only these fields, as pydantic's ``model_dump`` means it.
        exclude: Leave these fields out, as pydantic's ``model_dump`` means it.
        by_alias: Use the aliases of a model's fields.
        exclude_unset: Leave out what was not given to the model.
        exclude_defaults: Leave out what equals its default.
        exclude_none: Leave out what is ``None``.
        custom_encoder: Encoders by type, asked before every other rule.
        sqlalchemy_safe: Leave out keys that start with ``_sa``, where SQLAlchemy keeps its state.

    Raises:
        ValueError: When an object is neither a mapping nor has attributes.
    """
    options = _Options(by_alias, exclude_unset, exclude_defaults, exclude_none, custom_encoder or {}, sqlalchemy_safe)
    return _encode(obj, _collect_names(include), _collect_names(exclude), options)


def _collect_names(fields: IncEx | Iterable[object] | None) -> Iterable[object] | None:
    return fields if fields is None or isinstance(fields, set | dict) else set(fields)


def _encode(obj: object, include: _Names, exclude: _Names, options: _Options) -> object:
    if options.custom_encoder and (custom := _find_encoder(obj, options.custom_encoder)) is not None:
        return custom(obj)
    if isinstance(obj, BaseModel):
        return _encode_model(obj, include, exclude, options)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return _encode(dataclasses.asdict(obj), include, exclude, options)
    if isinstance(obj, Enum):
        return obj.value
    if isinstance(obj, PurePath):
        return str(obj)
    if obj is None or isinstance(obj, str | int | float):
        return obj
    if obj is PydanticUndefined:
        return None
    if isinstance(obj, dict):
        return _encode_dict(obj, include, exclude, options)
    if isinstance(obj, list | set | frozenset | GeneratorType | tuple | deque):
        return [_encode(item, include, exclude, options) for item in obj]
    if (encoder := _find_encoder(obj, ENCODERS_BY_TYPE)) is not None:
        return encoder(obj)
    if _is_struct(type(obj)):
        return _encode(dump_struct(obj), include, exclude, options)
    return _encode_object(obj, include, exclude, options)


def _find_encoder(obj: object, encoders: dict[type, Encoder]) -> Encoder | None:
    encoder = encoders.get(type(obj))
    if encoder is None:
        encoder = next((found for kind, found in encoders.items() if isinstance(obj, kind)), None)
    return encoder


def _encode_model(model: BaseModel, include: _Names, exclude: _Names, options: _Options) -> object:
    given: dict[str, Any] = {
        "include": include,
        "exclude": exclude,
        "by_alias": options.by_alias,
        "exclude_unset": options.exclude_unset,
        "exclude_none": options.exclude_none,
        "exclude_defaults": options.exclude_defaults,
    }
    try:
        dumped = model.model_dump(mode="json", **given)
    except (PydanticSerializationError, UnicodeError) as error:
        if "utf-8" not in str(error):
            raise
        # Bytes that are no text: the rules here decide what they are.
        dumped = model.model_dump(**given)
    # The dump is JSON already: the fields were chosen and the custom encoders have nothing left to see.
    return _encode(dumped, None, None, options._replace(by_alias=True, exclude_unset=False, custom_encoder={}))


def _is_struct(kind: type[object]) -> bool:
    return hasattr(kind, "__struct_fields__") or "__attrs_attrs__" in vars(kind)


def dump_struct(obj: Any) -> object:
    """Return the data of a msgspec Struct, or of an object of an attrs class.

    Raises:
        TypeError: It is neither.
    """
    kind = type(obj)
    if hasattr(kind, "__struct_fields__"):
        from msgspec import to_builtins

        return to_builtins(obj, enc_hook=jsonable_encoder, str_keys=True)
    if "__attrs_attrs__" in vars(kind):
        return {attribute.name: getattr(obj, attribute.name) for attribute in kind.__attrs_attrs__}
    raise TypeError(f"Unable to serialize an object of {kind.__module__}.{kind.__qualname__} as JSON.")


def _encode_dict(
    mapping: dict[object, object], include: Iterable[object] | None, exclude: Iterable[object] | None, options: _Options
) -> dict[object, object]:
    allowed = set(mapping)
    if include is not None:
        allowed &= set(include)
    if exclude is not None:
        allowed -= set(exclude)
    return {
        _encode(key, None, None, options): _encode(value, None, None, options)
        for key, value in mapping.items()
        if key in allowed
        and (value is not None or not options.exclude_none)
        and not (options.sqlalchemy_safe and isinstance(key, str) and key.startswith("_sa"))
    }


def _encode_object(obj: Any, include: _Names, exclude: _Names, options: _Options) -> object:
    lineage = {(kind.__module__, kind.__name__) for kind in type(obj).__mro__}
    if lineage & _TEXT_TYPES:
        return str(obj)
    if ("pydantic.v1.main", "BaseModel") in lineage:
        raise PydanticV1NotSupportedError(
            f"Models of pydantic.v1 are not supported, got {obj!r}; derive it from pydantic.BaseModel."
        )
    try:
        data = dict(obj)
    except Exception:  # noqa: BLE001 - whatever a foreign __iter__ raises, attributes are the next try
        try:
            data = vars(obj)
        except Exception as without_attributes:
            raise ValueError(_explain_not_json(obj)) from without_attributes
    return _encode(data, include, exclude, options)


def _explain_not_json(obj: object) -> str:
    if inspect.isawaitable(obj):
        name = getattr(obj, "__qualname__", type(obj).__name__)
        return f"JSON cannot carry {name}(), a coroutine that nobody awaited: write `await` before the call."
    kind = type(obj)
    return (
        f"JSON cannot carry an object of {kind.__module__}.{kind.__qualname__}: "
        "return a dict, a dataclass or a pydantic model made from it."
    )


# orjson leaves out attributes of a dataclass that start with an underscore, so they go through `_encode_default`.
_ORJSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS

# What certainly holds no float: not worth a look, and no reason to take the slow way either.
_ATOMS = frozenset(
    {str, int, bool, bytes, type(None), datetime.date, datetime.datetime, datetime.time, datetime.timedelta, UUID}
)
_CONTAINERS = (list, tuple, set, frozenset, deque)
_model_dump = BaseModel.model_dump


def json_bytes(obj: Any) -> bytes:
    """Return any object as compact JSON in UTF-8.

    Raises:
        ValueError: A number is infinite or not a number, which JSON cannot say.
        TypeError: Something has no JSON form.
    """
    kind = type(obj)
    if kind is not dict and getattr(kind, "model_dump", None) is _model_dump:
        try:
            body: bytes = kind.__pydantic_serializer__.to_json(obj, by_alias=True)
        except (PydanticSerializationError, UnicodeError):
            return _encode_slowly(obj)
    else:
        try:
            body = orjson.dumps(obj, _encode_default, _ORJSON_OPTIONS)
        except TypeError:
            return _encode_slowly(obj)
    # Partition, as `in` tries bytes as an integer first, which fails at three times the cost of the search.
    if body.partition(b"null")[1] and has_non_finite(obj):
        return _encode_slowly(obj)
    # A key that SQLAlchemy may have put there; `jsonable_encoder` leaves those out.
    if body.partition(b'"_sa')[1]:
        return _encode_slowly(obj)
    return body


def _encode_slowly(obj: object) -> bytes:
    return plain_json(jsonable_encoder(obj))


def plain_json(data: object) -> bytes:
    """Return what ``json`` makes of data, compact and in UTF-8.

    Half a surrogate pair, which that lacks, is escaped.

    Raises:
        ValueError: A number is infinite or not a number, which JSON cannot say.
        TypeError: Something has no JSON form.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(data, allow_nan=False, separators=(",", ":")).encode()


def _encode_default(obj: Any) -> object:
    """Encode, for orjson, what it does not know.

    Only what can be read twice, as the slow way may begin anew.
    """
    kind = type(obj)
    # isinstance asks pydantic's metaclass, which takes longer than the serializer does.
    if getattr(kind, "model_dump", None) is _model_dump:
        return orjson.Fragment(kind.__pydantic_serializer__.to_json(obj, by_alias=True))
    if isinstance(obj, BaseModel):
        return jsonable_encoder(obj)
    if dataclasses.is_dataclass(obj):
        return dataclasses.asdict(obj)  # type: ignore[arg-type]  # an instance, not a class, as is asked above
    if isinstance(obj, _CONTAINERS):
        return list(obj)
    encoder = ENCODERS_BY_TYPE.get(kind)
    if encoder is None:
        return dump_struct(obj)
    return encoder(obj)


def has_non_finite(obj: Any) -> bool:
    """Tell whether there may be an infinite float or a NaN in an object.

    True where one cannot tell.
    """
    kind = type(obj)
    if kind in _ATOMS:
        return False
    if kind is float:
        return bool(obj - obj != 0.0)
    if getattr(kind, "model_dump", None) is _model_dump:
        extra = obj.__pydantic_extra__
        values: Iterable[Any] = [*obj.__dict__.values(), *extra.values()] if extra else obj.__dict__.values()
    elif isinstance(obj, dict):
        values = obj.values()
    elif isinstance(obj, _CONTAINERS):
        values = obj
    else:
        return not isinstance(obj, Enum | str)
    for value in values:
        kind = type(value)
        if kind is str or kind is int or value is None:
            continue
        if value - value != 0.0 if kind is float else has_non_finite(value):
            return True
    return False
