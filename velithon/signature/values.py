"""Takes values out of what a request carries: multidicts, headers, cookies and parsed JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel
from starlette.datastructures import FormData, Headers, ImmutableMultiDict, UploadFile

from velithon.params import Param
from velithon.signature.annotations import is_optional
from velithon.signature.fields import (
    Errors,
    Field,
    Location,
    Undefined,
    find_param_model,
    list_aliases,
    read_model_fields,
)


def validate_optional(field: Field, value: object, location: Location) -> tuple[object, Errors]:
    """Validate a value that may be absent (`PydanticUndefined`)."""
    return field.absent(location) if value is Undefined else field.validate(value, location)


def _is_empty_file(value: object) -> bool:
    """Tell the empty name and content that browsers send when no file was chosen."""
    return isinstance(value, UploadFile) and value.filename == "" and value.size == 0


def get_values(field: Field, received: Mapping[str, object], name: str, many: bool | None = None) -> object:
    """Return the value or values under a name; `PydanticUndefined` when there is nothing.

    Args:
        field: The parameter.
        received: Where it is looked for.
        name: Under which name.
        many: Whether it is a sequence, for those who have looked already.
    """
    is_form = isinstance(received, FormData)
    if many is None:
        many = field.is_sequence
    value: Any
    if many and not field.is_json and isinstance(received, ImmutableMultiDict | Headers):
        value = received.getlist(name)
        if is_form:
            value = [item for item in value if not _is_empty_file(item)]
    else:
        value = received.get(name)
    if value is None or (is_form and (value == "" or _is_empty_file(value))) or (many and len(value) == 0):
        return Undefined
    return value


def iterate_extras(received: Mapping[str, object], known: set[str]) -> Iterator[tuple[str, object]]:
    """Yield what no field asked for, repeated keys as lists."""
    if isinstance(received, ImmutableMultiDict):
        items = received.multi_items()
    else:
        items = list(received.items())
    grouped: dict[str, list[object]] = {}
    for key, value in items:
        if key not in known:
            grouped.setdefault(key, []).append(value)
    for key, values in grouped.items():
        yield key, values[0] if len(values) == 1 else values


def take_argument(field: Field, received: Mapping[str, object]) -> tuple[object, Errors]:
    """Take a parameter, or a model of them, from path, query, headers or cookies."""
    model = find_param_model(field)
    if model is not None:
        return _take_model(field, model, received)
    pairs = list_aliases(field)
    name = next((wire for _, wire in pairs if wire in received), pairs[0][1])
    return validate_optional(field, get_values(field, received, name), (cast(Param, field.info).in_.value, name))


class _Gathered:
    """The values of a model's fields, under the names that its validator knows."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.known: set[str] = set()
        self.own: set[str] = set()
        self.header_names: dict[str | int, str] = {}

    def take(self, item: Field, received: Mapping[str, object], convert: bool) -> None:
        is_headers = isinstance(received, Headers)
        pairs = list_aliases(item, convert_underscores=convert)
        self.own.update(wire.lower() if is_headers else wire for _, wire in pairs)
        alias, wire = next((pair for pair in pairs if pair[1] in received), pairs[0])
        value = get_values(item, received, wire)
        if value is not Undefined:
            self.values[alias] = value
        if not is_headers:
            self.known.add(wire)
            return
        self.known.add(wire.lower())
        # The unconverted name of a field is no way around its conversion.
        self.known.update(name.lower() for name, header in pairs if name != header)
        if alias != wire:
            self.header_names[item.name] = wire


def converts_underscores(parent: Field, item: Field) -> bool:
    """Tell whether the header of a model's field has hyphens for its underscores."""
    return bool(getattr(item.info, "convert_underscores", getattr(parent.info, "convert_underscores", True)))


def iterate_header_names(field: Field) -> Iterator[str]:
    """Yield the names of the headers that a parameter, or its model's fields, may have."""
    model = find_param_model(field)
    if model is None:
        yield from (name for _, name in list_aliases(field))
        return
    for item in read_model_fields(model):
        yield from (name for _, name in list_aliases(item, convert_underscores=converts_underscores(field, item)))


def _take_model(field: Field, model: type[BaseModel], received: Mapping[str, object]) -> tuple[object, Errors]:
    gathered = _Gathered()
    is_headers = isinstance(received, Headers)
    for item in read_model_fields(model):
        gathered.take(item, received, is_headers and converts_underscores(field, item))
    gathered.values.update(iterate_extras(received, gathered.known))
    value: object = gathered.values
    if is_optional(field.annotation) and not (
        gathered.own.intersection(received) or (model.model_config.get("extra") in ("allow", "forbid") and value)
    ):
        value = Undefined
    result, errors = validate_optional(field, value, (cast(Param, field.info).in_.value,))
    if gathered.header_names and model.model_config.get("loc_by_alias", True):
        for error in errors:
            place, *rest = error["loc"]
            if rest and rest[0] in gathered.header_names:
                error["loc"] = (place, gathered.header_names[rest[0]], *rest[1:])
    return result, errors
