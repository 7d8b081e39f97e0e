"""Takes values out of forms: repeated keys, empty inputs, files and whole models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
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


class _Input:
    """A field as a form carries it: what its declaration says is read once, not with every form."""

    __slots__ = ("as_bytes", "field", "many", "names")

    def __init__(self, field: Field) -> None:
        self.field = field
        self.names = [alias for alias, _ in aliases(field)]
        self.many = field.is_sequence
        self.as_bytes: Callable[[Any], Awaitable[Any]] | None = None
        if isinstance(field.info, params.File):
            if holds(field.annotation, bytes):
                self.as_bytes = self._one
            elif self.many and not field.is_json and holds_many(field.annotation, bytes):
                self.as_bytes = self._all

    async def _one(self, value: Any) -> Any:
        return await _bytes_of(value) if isinstance(value, UploadFile) else value

    async def _all(self, value: Any) -> Any:
        read = [await _bytes_of(item) if isinstance(item, UploadFile) else item for item in value]
        return sequence_of(self.field.annotation)(read)

    async def take(self, form: FormData, known: set[str]) -> tuple[str, Any]:
        """Return the name and the value that the form has for it, or `PydanticUndefined`; note the names looked for."""
        for name in self.names:
            known.add(name)
            value = multi_value(self.field, form, name, self.many)
            if value is not Undefined:
                return name, value if self.as_bytes is None else await self.as_bytes(value)
        return self.names[0], Undefined


async def _whole(inputs: Sequence[_Input], form: FormData) -> dict[str, Any]:
    """Return everything in a form by name, what no field asked for last."""
    known: set[str] = set()
    found = [await item.take(form, known) for item in inputs]
    values = {name: value for name, value in found if value is not Undefined}
    values.update(extras(form, known))
    return values


class _Models:
    """A field that stands for a model, or for a union of models, whose fields are those of the form."""

    __slots__ = ("field", "inputs", "is_optional", "keeps_extras", "names")

    def __init__(self, field: Field, models: list[type[BaseModel]]) -> None:
        self.field = field
        self.is_optional = is_optional(field.annotation)
        self.names = {alias for model in models for item in model_fields(model) for alias, _ in aliases(item)}
        self.keeps_extras = any(model.model_config.get("extra") in ("allow", "forbid") for model in models)
        # A union's choices read the raw values each in its own way, in their validators.
        self.inputs = [_Input(item) for item in model_fields(models[0])] if len(models) == 1 else []

    async def take(self, form: FormData) -> Any:
        """Return what the models are validated from; `PydanticUndefined` when nothing came for an optional one."""
        if self.is_optional and not self.names.intersection(form) and not (self.keeps_extras and form):
            return Undefined
        return await _whole(self.inputs, form)


class FormReader:
    """Takes the values of one callable's fields out of forms.

    Args:
        fields: The callable's body fields.
        embed: Whether fields stand under keys of their own.
    """

    def __init__(self, fields: Sequence[Field], embed: bool) -> None:
        self._items: list[_Input | _Models] = []
        for field in fields:
            models = form_models(field)
            self._items.append(_Models(field, models) if models else _Input(field))
        first = self._items[0] if len(self._items) == 1 and not embed else None
        self._only = first if isinstance(first, _Input) else None

    async def __call__(self, form: FormData) -> tuple[dict[str, Any], Errors]:
        """Return the values by parameter name, and the errors."""
        if self._only is not None:
            field = self._only.field
            value, errors = validated(field, await _whole([self._only], form), ("body",))
            return {field.name: value}, errors
        values: dict[str, Any] = {}
        all_errors: Errors = []
        known: set[str] = set()
        for item in self._items:
            location: tuple[str, ...] = ("body",)
            if isinstance(item, _Models):
                value = await item.take(form)
            else:
                name, value = await item.take(form, known)
                location = ("body", name)
            values[item.field.name], errors = validated(item.field, value, location)
            all_errors += errors
        return values, all_errors
