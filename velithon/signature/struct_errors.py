"""Translates msgspec's messages into pydantic's errors: same types, same words, a location."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic_core import InitErrorDetails, PydanticCustomError

_KINDS = {
    "int": "int_type",
    "str": "string_type",
    "float": "float_type",
    "bool": "bool_type",
    "bytes": "bytes_type",
    "array": "list_type",
    "object": "model_attributes_type",
    "null": "none_required",
}
_BOUNDS = {
    ">=": ("greater_than_equal", "ge"),
    ">": ("greater_than", "gt"),
    "<=": ("less_than_equal", "le"),
    "<": ("less_than", "lt"),
}
# What msgspec says -> pydantic's type of error, the value that its words need, and what reads that value.
_RULES: list[tuple[re.Pattern[str], str, str, Callable[[str], str | int | float]]] = [
    (re.compile(r"Expected `\w+` that's a multiple of (\S+)$"), "multiple_of", "multiple_of", float),
    (re.compile(r"Expected `str` of length >= (\d+)$"), "string_too_short", "min_length", int),
    (re.compile(r"Expected `str` of length <= (\d+)$"), "string_too_long", "max_length", int),
    (re.compile(r"Expected `str` matching regex '(.*)'$"), "string_pattern_mismatch", "pattern", str),
]
_KIND = re.compile(r"Expected `(\w+)(?: \| null)?`, got ")
_BOUND = re.compile(r"Expected `(?:int|float|decimal)` (>=|>|<=|<) (\S+)$")
_PATH = re.compile(r" - at (?:`key(?:\.str)?` in )?`\$(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[\.\.\.\]")
_NAMED = re.compile(r"Object (missing required|contains unknown) field `(.*)`$", re.DOTALL)


def build_details(message: str, location: tuple[str | int, ...], value: object) -> InitErrorDetails:
    """Return one of msgspec's errors as pydantic takes it.

    Args:
        message: What msgspec said, with its path at the end.
        location: Where the value is that msgspec was given.
        value: That value.
    """
    path = _PATH.search(message)
    if path is not None:
        message = message[: path.start()]
        for step in _STEP.finditer(path[1]):
            key: str | int = step[1] or (int(step[2]) if step[2] else "[...]")
            location, value = (*location, key), _get_item(value, key)
    named = _NAMED.match(message)
    if named is not None:
        location = (*location, named[2])
        if named[1] == "missing required":
            return InitErrorDetails(type="missing", loc=location, input=value)
        return InitErrorDetails(type="extra_forbidden", loc=location, input=_get_item(value, named[2]))
    kind, context = _classify_message(message)
    details = InitErrorDetails(type=kind, loc=location, input=value)
    return InitErrorDetails(**details, ctx=context) if context else details


def _classify_message(message: str) -> tuple[str | PydanticCustomError, dict[str, str | int | float]]:
    """Return pydantic's type of an error, and the values that its message names."""
    if (found := _KIND.match(message)) and found[1] in _KINDS:
        return _KINDS[found[1]], {}
    if found := _BOUND.match(message):
        kind, name = _BOUNDS[found[1]]
        return kind, {name: float(found[2]) if "." in found[2] else int(found[2])}
    for pattern, kind, name, read in _RULES:
        if found := pattern.match(message):
            return kind, {name: read(found[1])}
    kind = "enum" if message.startswith("Invalid enum value") else "value_error"
    # A template without values is taken as it is, braces and all.
    return PydanticCustomError(kind, message), {}


def _get_item(value: object, key: str | int) -> object:
    try:
        return value[key]  # type: ignore[index]  # a value without items is what the exceptions are for
    except (KeyError, IndexError, TypeError):
        return getattr(value, str(key), None)
