"""One parameter of a signature: its names, its place, its default, its validator.

Parameters with the same type and constraints share a validator.
"""

from __future__ import annotations

import warnings
from copy import copy, deepcopy
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Json, PydanticUserError, TypeAdapter
from pydantic import Field as PydanticField
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticUndefined, SchemaValidator, ValidationError

from velithon import params
from velithon.signature.annotations import (
    find_model,
    find_struct,
    holds_structs,
    is_sequence,
    is_subclass,
    is_union,
    list_members,
    strip_metadata,
    unalias,
)

Place = Literal["path", "query", "header", "cookie", "body", "form", "file"]
Undefined = PydanticUndefined
Location = tuple[str | int, ...]
Errors = list[dict[str, Any]]

_ATTRIBUTES = (
    "default",
    "default_factory",
    "alias",
    "alias_priority",
    "validation_alias",
    "serialization_alias",
    "title",
    "field_title_generator",
    "description",
    "examples",
    "exclude",
    "exclude_if",
    "discriminator",
    "deprecated",
    "json_schema_extra",
    "frozen",
    "validate_default",
    "repr",
    "init",
    "init_var",
    "kw_only",
)
_IMMUTABLE = (str, int, float, bool, bytes, type(None), frozenset)
Tools = tuple[SchemaValidator, CoreSchema]
_tools: dict[object, Tools] = {}


class Field:
    """One parameter.

    Attributes:
        name: The parameter's name in the signature.
        info: The `velithon.params` object (a pydantic `FieldInfo`) with constraints, aliases and documentation.
        config: The pydantic configuration of the model that the field belongs to, if it does.
        mode: Which of the two JSON schemas a document shows.
    """

    def __init__(
        self,
        name: str,
        info: FieldInfo,
        *,
        config: ConfigDict | None = None,
        mode: Literal["validation", "serialization"] = "validation",
    ) -> None:
        self.name = name
        self.info = info
        self.config = config
        self.mode: Literal["validation", "serialization"] = mode
        self._validator: SchemaValidator | None = None
        self._adapter: TypeAdapter[object] | None = None

    @property
    def field_info(self) -> FieldInfo:
        """The name that FastAPI has for `info`."""
        return self.info

    @property
    def annotation(self) -> Any:
        """The type, without the metadata that `info` holds."""
        return self.info.annotation

    @property
    def has_structs(self) -> bool:
        """Whether the type is, or holds, a class that msgspec reads."""
        return holds_structs(self.info.annotation)

    @property
    def pydantic_annotation(self) -> object:
        """The type as pydantic takes it: what msgspec reads is wrapped for it."""
        annotation = self.info.annotation
        if not holds_structs(annotation):
            return annotation
        from velithon.signature.structs import bridge_structs

        is_parameter = isinstance(self.info, params.Param | params.Form) and not self.is_json
        return bridge_structs(annotation, is_parameter=is_parameter)

    @property
    def place(self) -> Place:
        """Where the value comes from."""
        info = self.info
        if isinstance(info, params.Param):
            return info.in_.value
        if isinstance(info, params.File):
            return "file"
        return "form" if isinstance(info, params.Form) else "body"

    @property
    def alias(self) -> str:
        """The name on the wire."""
        return self.info.alias if self.info.alias is not None else self.name

    @property
    def validation_alias(self) -> str | None:
        """The single validation alias, if there is one."""
        alias = self.info.validation_alias
        return alias if isinstance(alias, str) and alias else None

    @property
    def serialization_alias(self) -> str | None:
        """The serialization alias, if there is one."""
        return self.info.serialization_alias or None

    @property
    def required(self) -> bool:
        """Whether the request must carry the value."""
        return self.info.is_required()

    @property
    def default(self) -> object:
        """The value of an absent parameter, made anew by a default factory; `PydanticUndefined` when required."""
        return Undefined if self.required else self.info.get_default(call_default_factory=True, validated_data={})

    @property
    def is_json(self) -> bool:
        """Whether the value is JSON in a string (`pydantic.Json`)."""
        return any(type(item) is Json for item in self.info.metadata)

    @property
    def is_sequence(self) -> bool:
        """Whether repeated keys are collected."""
        return is_sequence(self.annotation)

    @property
    def include_in_schema(self) -> bool:
        """Whether documents show it."""
        return getattr(self.info, "include_in_schema", True)

    @property
    def validator(self) -> SchemaValidator:
        """The validator, shared among fields with the same type and constraints."""
        validator = self._validator
        if validator is None:
            validator = self._validator = _get_shared_tools(self)[0]
        return validator

    @property
    def validation_schema(self) -> CoreSchema:
        """The core schema of `validator`, which says nothing of defaults and documentation."""
        return _get_shared_tools(self)[1]

    @property
    def adapter(self) -> TypeAdapter[object]:
        """A pydantic adapter that carries the documentation too: title, description, default, examples."""
        adapter = self._adapter
        if adapter is None:
            attributes = {name: getattr(self.info, name, Undefined) for name in _ATTRIBUTES}
            given: dict[str, Any] = {name: value for name, value in attributes.items() if value is not Undefined}
            with warnings.catch_warnings():
                # Aliases mean nothing inside an adapter and pydantic says so; they are the field's own affair.
                warnings.simplefilter("ignore")
                annotation: Any = Annotated[(self.pydantic_annotation, *self.info.metadata, PydanticField(**given))]
                adapter = self._adapter = TypeAdapter(annotation, config=self.config)
        return adapter

    @property
    def core_schema(self) -> CoreSchema:
        """The core schema, with documentation."""
        return self.adapter.core_schema

    def validate(self, value: object, location: Location = ()) -> tuple[object, Errors]:
        """Validate a value.

        Returns:
            The value and no errors, or None and the errors, each located below `location`.
        """
        try:
            return self.validator.validate_python(value, from_attributes=True), []
        except ValidationError as error:
            return None, locate_errors(error, location)

    def absent(self, location: Location) -> tuple[object, Errors]:
        """Return what an absent value gives: the default, or the error that it is missing."""
        if self.required:
            return None, [build_missing_error(location)]
        value = deepcopy(self.default)
        return self.validate(value, location) if self.info.validate_default else (value, [])

    @property
    def constant_default(self) -> bool:
        """Whether the default can be used as it is, by every request."""
        info = self.info
        return (
            not self.required
            and info.default_factory is None
            and not info.validate_default
            and isinstance(info.default, _IMMUTABLE)
        )

    def __hash__(self) -> int:
        return id(self)


def locate_errors(error: ValidationError, location: Location) -> Errors:
    """Return pydantic's errors as mappings, each below `location`."""
    return [{**item, "loc": location + item["loc"]} for item in error.errors(include_url=False)]


def build_missing_error(location: Location) -> dict[str, Any]:
    """Return the error of a value that must be there and is not."""
    return {"type": "missing", "loc": location, "msg": "Field required", "input": None}


def _build_metadata_key(item: object) -> object:
    values = getattr(item, "__dict__", None)
    if values is not None and type(item).__module__.startswith("pydantic"):
        return (type(item), tuple(sorted(values.items(), key=lambda pair: pair[0])))
    return item


def _build_key(field: Field) -> object:
    info = field.info
    if field.has_structs:
        return None
    config = tuple(sorted(field.config.items())) if field.config else None
    key = (info.annotation, tuple(map(_build_metadata_key, info.metadata)), info.discriminator, config)
    try:
        hash(key)
    except TypeError:
        return None
    # 1 == True == 1.0: keys that only look equal must stay apart.
    return (*key, repr(info.annotation), repr(info.metadata))


def _get_shared_tools(field: Field) -> Tools:
    annotation = field.annotation
    plain = not field.info.metadata and field.info.discriminator is None
    if plain and is_subclass(annotation, BaseModel) and annotation.__pydantic_complete__:
        return annotation.__pydantic_validator__, annotation.__pydantic_core_schema__  # type: ignore[return-value]  # a plugin may wrap the validator, which has the same methods
    key = _build_key(field)
    found = _tools.get(key) if key is not None else None
    if found is None:
        found = _build_tools(field)
        if key is not None:
            _tools[key] = found
    return found


def _build_tools(field: Field) -> Tools:
    info = field.info
    metadata: tuple[object, ...] = tuple(info.metadata)
    if info.discriminator is not None:
        metadata = (*metadata, PydanticField(discriminator=info.discriminator))
    annotation = field.pydantic_annotation
    if metadata:
        annotation = Annotated[(annotation, *metadata)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapter = _build_adapter(annotation, field.config)
    return adapter.validator, adapter.core_schema  # type: ignore[return-value]  # a plugin may wrap the validator, which has the same methods


def _build_adapter(annotation: Any, config: ConfigDict | None) -> TypeAdapter[object]:
    """Return an adapter that refuses NaN and infinity, unless the type allows them.

    JSON could not carry them in an answer.
    """
    if config is None:
        try:
            return TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))
        except PydanticUserError:
            pass  # a model has a configuration of its own
    return TypeAdapter(annotation, config=config)


def merge_info(info: FieldInfo, annotation: Any) -> FieldInfo:
    """Return a copy of `info` with everything that `Annotated` metadata around it says.

    Args:
        info: The parameter object.
        annotation: The whole `Annotated[...]`, `info` included or not.
    """
    merged = FieldInfo.from_annotation(annotation)
    result = copy(info)
    for name in _ATTRIBUTES:
        if hasattr(merged, name):
            setattr(result, name, getattr(merged, name))
    result._attributes_set = dict(merged._attributes_set)
    result.metadata = list(merged.metadata)
    result.annotation = merged.annotation
    for name in getattr(info, "cleared", ()):
        setattr(result, name, None)
        result._attributes_set.pop(name, None)
    return result


_model_fields: dict[type[BaseModel], list[Field]] = {}


def read_model_fields(model: type[BaseModel]) -> list[Field]:
    """Return a model's fields as if each were a parameter."""
    found = _model_fields.get(model)
    if found is None:
        found = _model_fields[model] = [
            Field(name, info, config=_get_field_config(model, info)) for name, info in model.model_fields.items()
        ]
    return found


def _get_field_config(model: type[BaseModel], info: FieldInfo) -> ConfigDict | None:
    annotation = info.annotation
    if is_subclass(annotation, (BaseModel, dict)) or is_dataclass(annotation):
        return None
    return model.model_config


def find_shape_model(annotation: object) -> type[BaseModel] | None:
    """Return the model whose fields are parameters.

    It is the annotation itself, or is made of a Struct's fields.
    """
    model = find_model(annotation)
    if model is None and (kind := find_struct(annotation)) is not None:
        from velithon.signature.structs import build_shape

        return build_shape(kind)
    return model


def find_param_model(field: Field) -> type[BaseModel] | None:
    """Return the model that declares a whole set of parameters, or none."""
    if field.is_json:
        return None
    if isinstance(field.info, params.Query | params.Header | params.Cookie):
        return find_shape_model(field.annotation)
    annotation = field.annotation
    return annotation if is_subclass(annotation, BaseModel) else None


def list_aliases(field: Field, convert_underscores: bool = False) -> list[tuple[str, str]]:
    """Return the names of a value as pairs: for the validator, and on the wire."""
    alias = field.validation_alias or field.alias
    wire = alias.replace("_", "-") if convert_underscores and alias == field.name else alias
    choices = field.info.validation_alias
    if isinstance(field.info, params.Path) or isinstance(choices, AliasPath):
        return [(alias, wire)]
    pairs = [(alias, wire)]
    if isinstance(choices, AliasChoices):
        if any(isinstance(choice, AliasPath) for choice in choices.choices):
            return pairs
        pairs = [(choice, choice) for choice in choices.choices if isinstance(choice, str)]
    config: Any = field.config or {}
    by_alias = config.get("validate_by_alias") is not False
    if by_alias and not config.get("validate_by_name", config.get("populate_by_name", False)):
        return pairs
    own = (field.name, field.name.replace("_", "-") if convert_underscores else field.name)
    if not by_alias:
        return [own]
    return pairs if any(name == field.name for name, _ in pairs) else [*pairs, own]


def find_form_models(field: Field) -> list[type[BaseModel]]:
    """Return the models whose fields are form fields: one, or the choices of a union."""
    info = field.info
    if not isinstance(info, params.Form) or info.embed or field.is_json:
        return []
    model = find_shape_model(info.annotation)
    return [model] if model is not None else find_union_models(info.annotation)


def find_union_models(annotation: object) -> list[type[BaseModel]]:
    """Return the models of a union of several models and nothing else but None."""
    if not is_union(annotation):
        return []
    models = [strip_metadata(unalias(arg)) for arg in list_members(annotation)]
    found = [model for model in models if is_subclass(model, BaseModel)]
    return found if len(models) > 1 and len(found) == len(models) else []
