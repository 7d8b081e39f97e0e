"""How a form that mixes fields and models looks in a document: one flat object."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Discriminator, GetJsonSchemaHandler, Tag
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from velithon._runtime.json_values import JSONObject
from velithon.signature.annotations import is_optional, is_union
from velithon.signature.fields import Field, find_form_models, list_aliases, read_model_fields


def rename_fields(fields: Sequence[Field]) -> list[Field]:
    """Return the fields under neutral names, because two models may use the same names."""
    shown = []
    for index, field in enumerate(fields):
        info = copy(field.info)
        info.alias = info.validation_alias = info.serialization_alias = f"field_{index}"
        if find_form_models(field) and info.discriminator is None:
            info.annotation = cast("type[Any] | None", _add_names(info.annotation))
        info.title = info.title or field.name.replace("_", " ").title()
        shown.append(Field(f"field_{index}", info))
    return shown


def _add_names(annotation: object) -> object:
    """Return a model, or a union of them, whose schema has all names of its fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Annotated[annotation, _AllNames(annotation)]
    if get_origin(annotation) is Annotated:
        model, *metadata = get_args(annotation)
        tagged = any(isinstance(item, Tag | Discriminator) or getattr(item, "discriminator", None) for item in metadata)
        return annotation if tagged else Annotated[(_add_names(model), *metadata)]
    if not is_union(annotation):
        return annotation
    return Union[tuple(_add_names(choice) for choice in get_args(annotation))]  # noqa: UP007


class _AllNames:
    """Has a model's schema say that a required field comes under one of its names.

    Args:
        model: The model.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self._names: list[list[str]] = []
        for field in read_model_fields(model):
            names = [name for name, _ in list_aliases(field)]
            if field.required and len(names) > 1:
                self._names.append(names)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shown = handler(schema)
        if not self._names:
            return shown
        whole = handler.resolve_ref_schema(shown)
        known = {name for names in self._names for name in names}
        choices = [{"anyOf": [{"required": [name]} for name in names]} for names in self._names]
        certain = [name for name in whole.get("required", ()) if name not in known]
        return {**whole, "required": certain, "allOf": [*whole.get("allOf", ()), *choices]}


def build_flat_config(fields: Sequence[Field]) -> ConfigDict:
    """Return the configuration that makes the combined model's schema flat."""
    return ConfigDict(json_schema_extra=partial(_flatten_schema, fields))


def _flatten_schema(fields: Sequence[Field], schema: JSONObject) -> None:
    schemas = schema.pop("properties")
    schema.pop("required", None)
    properties: JSONObject = {}
    required: list[str] = []
    conditions: list[JSONObject] = []
    for index, field in enumerate(fields):
        part = schemas[f"field_{index}"]
        if find_form_models(field):
            conditions += _build_model_conditions(field, part)
            continue
        name = list_aliases(field)[0][0]
        if name in properties:
            conditions.append({"properties": {name: part}})
        else:
            properties[name] = part
        if field.required and name not in required:
            required.append(name)
    if properties:
        schema["properties"] = properties
    if required:
        schema["required"] = required
    schema["allOf"] = conditions


def _build_model_conditions(field: Field, part: JSONObject) -> list[JSONObject]:
    """Return the conditions of a model's fields.

    A model that may be left out is left out by sending none of its fields, not by sending null.
    """
    part.pop("default", None)
    if "$ref" in part:
        part.pop("title", None)
    if not is_optional(field.annotation):
        return [part]
    part["anyOf"] = [choice for choice in part["anyOf"] if choice.get("type") != "null"]
    absent = _build_absent_schema(field)
    if field.required:
        return [{"not": absent}, part]
    return [{"anyOf": [absent, part]}]


def _build_absent_schema(field: Field) -> JSONObject:
    models = find_form_models(field)
    if any(model.model_config.get("extra") in ("allow", "forbid") for model in models):
        return {"maxProperties": 0}
    names = sorted({name for model in models for item in read_model_fields(model) for name, _ in list_aliases(item)})
    return {"not": {"anyOf": [{"required": [name]} for name in names]}} if names else {}
