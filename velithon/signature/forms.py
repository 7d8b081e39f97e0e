"""Takes values out of forms: repeated keys, empty inputs, files and whole models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile

from velithon import params
from velithon.signature.annotations import holds, holds_many, is_optional, sequence_of
from velithon.signature.fields import Errors, Field, Undefined, aliases, form_models, model_fields
from velithon.signature.values import extras, multi_value, validated


def form_items(fields: Sequence[Field], form: FormData) -> Iterator[tuple[str, Any, Field | None]]:
    """Yield (name, value, field) for each field that the form carries, then the rest with no field."""
    known: set[str] = set()
    for field in fields:
        for alias, _ in aliases(field):
            known.add(alias)
            value = multi_value(field, form, alias)
            if value is not Undefined:
                yield alias, value, field
                break
    for name, value in extras(form, known):
        yield name, value, None


async def _bytes_of(file: UploadFile) -> bytes:
    """Read a file whole and leave it where it was: another parameter may share it."""
    position = file.file.tell()
    try:
        return await file.read()
    finally:
        await file.seek(position)


async def _as_bytes(field: Field, value: Any) -> Any:
    annotation = field.annotation
    if holds(annotation, bytes):
        return await _bytes_of(value) if isinstance(value, UploadFile) else value
    if holds_many(annotation, bytes) and isinstance(value, list | tuple | set | frozenset):
        read = [await _bytes_of(item) if isinstance(item, UploadFile) else item for item in value]
        return sequence_of(annotation)(read)
    return value


async def _form_values(fields: Sequence[Field], form: FormData) -> list[tuple[str, Any, Field | None]]:
    found = []
    for alias, value, field in form_items(fields, form):
        if field is not None and isinstance(field.info, params.File):
            value = await _as_bytes(field, value)
        found.append((alias, value, field))
    return found


def _supplied(model: type[BaseModel], form: FormData) -> bool:
    names = {alias for item in model_fields(model) for alias, _ in aliases(item)}
    return bool(names.intersection(form) or (model.model_config.get("extra") in ("allow", "forbid") and form))


async def _model_value(field: Field, models: list[type[BaseModel]], form: FormData) -> Any:
    if is_optional(field.annotation) and not any(_supplied(model, form) for model in models):
        return Undefined
    # A union's choices read the raw values each in its own way, in their validators.
    fields = model_fields(models[0]) if len(models) == 1 else []
    return {alias: value for alias, value, _ in await _form_values(fields, form)}


async def form_arguments(fields: Sequence[Field], form: FormData, embed: bool) -> tuple[dict[str, Any], Errors]:
    """Take the values of one callable's fields out of a form.

    Args:
        fields: The callable's body fields.
        form: The form.
        embed: Whether fields stand under keys of their own.

    Returns:
        The values by parameter name, and the errors.
    """
    plain = [item for item in fields if not form_models(item)]
    found = await _form_values(plain, form) if plain else []
    if len(fields) == 1 and plain and not embed:
        field = fields[0]
        value, errors = validated(field, {alias: item for alias, item, _ in found}, ("body",))
        return {field.name: value}, errors
    by_name = {item.name: (alias, value) for alias, value, item in found if item is not None}
    values: dict[str, Any] = {}
    all_errors: Errors = []
    for field in fields:
        models = form_models(field)
        if models:
            location: tuple[str, ...] = ("body",)
            value = await _model_value(field, models, form)
        else:
            alias, value = by_name.get(field.name, (aliases(field)[0][0], Undefined))
            location = ("body", alias)
        values[field.name], errors = validated(field, value, location)
        all_errors += errors
    return values, all_errors
