"""How a form that mixes fields and models looks in a document: one flat object."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial

from pydantic import ConfigDict

from velithon._runtime.json_values import JSONObject
from velithon.signature.annotations import is_optional
from velithon.signature.fields import Field, find_form_models, list_aliases, read_model_fields


def rename_fields(fields: Sequence[Field]) -> list[Field]:
    """Return the fields under neutral names, because two models may use the same names."""
    shown = []
    for index, field in enumerate(fields):
        info = copy(field.info)
        info.alias = info.validation_alias = info.serialization_alias = f"field_{index}"
        info.title = info.title or field.name.replace("_", " ").title()
        shown.append(Field(f"field_{index}", info))
    return shown


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
