"""Which bodies may be validated straight from their bytes.

The values are those that parsing first would give.

pydantic is laxer with JSON than with Python objects in places: strict types take strings, custom validators see another
mode, choices of unions score differently. A schema made only of what behaves the same in both modes may skip the
intermediate objects; whatever fails is parsed and validated again the long way, so errors are always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from velithon.signature.fields import Field

_NATIVE = frozenset({"str", "int", "float", "bool", "none", "any", "list", "dict", "literal", "nullable"})
_MODELS = frozenset({"model", "model-fields", "model-field", "typed-dict", "typed-dict-field"})
_DATACLASSES = frozenset({"dataclass", "dataclass-args", "dataclass-field"})
_WRAPPERS = frozenset({"default", "definitions", "definition-ref", "tagged-union"})
_VALUES = frozenset({"enum", "date", "datetime", "time", "timedelta", "uuid", "url", "set", "frozenset", "tuple"})
_SAME = _NATIVE | _MODELS | _DATACLASSES | _WRAPPERS | _VALUES
_UNION_SAFE = _NATIVE | _MODELS | {"default", "definitions", "definition-ref", "union"}
_CONFIG = frozenset({"strict", "coerce_numbers_to_str", "val_json_bytes", "val_temporal_unit"})
_FUNCTIONS = frozenset({"function-before", "function-after", "function-wrap", "function-plain"})


def find_bytes_validator(field: Field) -> Callable[[bytes], object] | None:
    """Return what validates a field from a body's bytes, or none.

    There is none where validating parsed data may give something else.
    """
    if field.is_json:
        return None
    if field.has_structs:
        from velithon.signature.structs import find_bytes_decoder

        return None if field.info.metadata else find_bytes_decoder(field.annotation)
    validator, schema = field.validator, field.validation_schema
    # A model that refers to itself is built with its first use, and until then has no schema to look at.
    if not isinstance(schema, Mapping) or "type" not in schema or not _is_same(schema, _SAME):
        return None
    return validator.validate_json


def _iterate_children(schema: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    for name, value in schema.items():
        if name in ("metadata", "serialization", "config", "default", "default_factory", "expected", "cls"):
            continue
        yield from _iterate_schemas(value)


def _iterate_schemas(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("type"), str):
            yield value
        else:
            for item in value.values():
                yield from _iterate_schemas(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _iterate_schemas(item)


def _is_same(schema: Mapping[str, Any], allowed: frozenset[str]) -> bool:
    kind = schema["type"]
    if schema.get("strict") or schema.get("custom_init"):
        return False
    config = schema.get("config") or {}
    if any(config.get(name) for name in _CONFIG):
        return False
    if kind in _FUNCTIONS:
        if schema["function"]["type"] != "no-info":
            return False
    elif kind == "union":
        allowed = allowed & _UNION_SAFE
    elif kind not in allowed:
        return False
    return all(_is_same(child, allowed) for child in _iterate_children(schema))
