"""JSON schemas of every field of a document.

They are generated together, so that each name in `components` is used once.

pydantic names a model's schema by the model; it makes names longer where two models share one, and parts them into
`-Input` and `-Output` where the two differ. All of that depends on what else the document holds, hence one run for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from velithon._runtime.json_values import JSONObject
from velithon.openapi.constants import REF_TEMPLATE
from velithon.signature.annotations import is_subclass
from velithon.signature.fields import Field

Mode = Literal["validation", "serialization"]


class _Generator(GenerateJsonSchema):
    """Says of bytes that they are binary, as OpenAPI 3.1 does, with `contentMediaType`."""

    def bytes_schema(self, schema: Any) -> JsonSchemaValue:
        json_schema: JsonSchemaValue = {"type": "string", "contentMediaType": "application/octet-stream"}
        writes = self.mode == "serialization"
        if (self._config.ser_json_bytes if writes else self._config.val_json_bytes) == "base64":
            json_schema["contentEncoding"] = "base64"
        self.update_with_validations(json_schema, schema, self.ValidationsMapping.bytes)
        return json_schema


class Definitions:
    """The schemas of a set of fields.

    Attributes:
        schemas: The entries of `components/schemas`.
    """

    def __init__(self, fields: Sequence[Field], *, separate: bool) -> None:
        """Generate the schemas.

        Args:
            fields: Every field that the document will ask for.
            separate: Whether input and output may have two schemas.
        """
        self._separate = separate
        shown = {field.annotation for field in fields if is_subclass(field.annotation, (BaseModel, Enum))}
        nested = [
            Field(model.__name__, FieldInfo(annotation=model), mode=mode)
            for mode in ("validation", "serialization")
            for model in _collect_models(field.annotation for field in fields if field.mode == mode)
            if model not in shown
        ]
        # Fields that look the same share one schema: generating it is the larger part of a document's cost.
        self._keys: dict[Field, object] = {}
        inputs: dict[object, tuple[object, Mode, CoreSchema]] = {}
        for field in (*fields, *nested):
            key = self._keys[field] = _build_key(field)
            if key not in inputs:
                inputs[key] = (key, self._choose_mode(field), _get_core_schema(field))
        found, schemas = _Generator(ref_template=REF_TEMPLATE).generate_definitions(list(inputs.values()))
        self._found = {key: schema for (key, _), schema in found.items()}
        self.schemas: dict[str, JSONObject] = schemas  # type: ignore[assignment]  # pydantic types the schemas by their references
        if any(field.has_structs for field in fields):
            from velithon.openapi.structs import resolve_structs

            resolve_structs([*self._found.values(), *schemas.values()], self.schemas)
        for schema in self.schemas.values():
            if "description" in schema:
                schema["description"] = schema["description"].split("\f")[0]

    def _choose_mode(self, field: Field) -> Mode:
        return field.mode if self._separate or _has_computed_fields(field) else "validation"

    def schema(self, field: Field, alias: str | None = None) -> JSONObject:
        """Return a field's schema, titled by its name unless it is a reference.

        Args:
            field: One of the fields that the definitions were made for.
            alias: The name to title it by; the field's own alias by default.
        """
        schema = dict(self._found[self._keys[field]])
        if "$ref" not in schema:
            schema["title"] = field.info.title or (alias or _find_alias(field)).title().replace("_", " ")
        return schema


def _find_alias(field: Field) -> str:
    own = field.validation_alias if field.mode == "validation" else field.serialization_alias
    return own or field.alias


def _build_key(field: Field) -> object:
    """Return the key that fields with the same schema share.

    It is the field itself where nobody can tell.
    """
    info = field.info
    if field.has_structs or field.config or info.json_schema_extra or info.discriminator or info.default_factory:
        return field
    # A list's or a mapping's own hash is missing, and 1 == True: the words for them tell them apart.
    said = (info.title, info.description, info.examples, info.deprecated, info.default, info.metadata)
    key = (info.annotation, field.mode, repr(info.annotation), repr(said))
    try:
        hash(key)
    except TypeError:
        return field
    return field if " object at 0x" in key[3] or "<function" in key[3] else key


def _get_core_schema(field: Field) -> CoreSchema:
    """Return a field's core schema.

    That of a model is made already, where the field adds nothing to it.
    """
    info, annotation = field.info, field.annotation
    said = (info.title, info.description, info.examples, info.deprecated, info.json_schema_extra, info.discriminator)
    plain = info.is_required() and not info.metadata and not any(said)
    if plain and is_subclass(annotation, BaseModel) and annotation.__pydantic_complete__:
        schema: CoreSchema = annotation.__pydantic_core_schema__
        return schema
    return field.core_schema


def _has_computed_fields(field: Field) -> bool:
    schema: Any = _get_core_schema(field)
    if schema.get("schema", {}).get("computed_fields", []):
        return True
    return _has_computed_below(field.annotation, set())


def _has_computed_below(annotation: object, seen: set[type[BaseModel]]) -> bool:
    if not is_subclass(annotation, BaseModel):
        return any(_has_computed_below(argument, seen) for argument in get_args(annotation))
    if annotation in seen:
        return False
    seen.add(annotation)
    if annotation.model_computed_fields:
        return True
    return any(_has_computed_below(info.annotation, seen) for info in annotation.model_fields.values())


def _collect_models(annotations: Iterable[object]) -> dict[type, None]:
    """Return the models and enumerations among annotations, and below the models' fields."""
    found: dict[type, None] = {}
    waiting = list(annotations)
    while waiting:
        annotation = waiting.pop()
        if get_origin(annotation) is not None:
            waiting.extend(get_args(annotation))
        elif is_subclass(annotation, (BaseModel, Enum)) and annotation not in found:
            found[annotation] = None
            if is_subclass(annotation, BaseModel):
                waiting.extend(info.annotation for info in annotation.model_fields.values())
    return found
