"""What a body is: whether its fields stand under keys of their own, and the whole of it as one field for documents."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, Tag, create_model
from starlette.datastructures import FormData

from velithon import params
from velithon.signature.annotations import is_subclass
from velithon.signature.fields import Field, form_models, model_fields
from velithon.signature.forms import form_items

if TYPE_CHECKING:
    from velithon.signature.model import EndpointModel


def must_embed(fields: Sequence[Field]) -> bool:
    """Tell whether each body field stands under its own key instead of being the whole body."""
    if not fields:
        return False
    first = fields[0]
    # The same parameter in several dependencies is one field.
    if len({item.name for item in fields}) > 1:
        return True
    models = form_models(first)
    if models and any(not form_models(item) or item.annotation is not first.annotation for item in fields[1:]):
        return True
    if getattr(first.info, "embed", None):
        return True
    return isinstance(first.info, params.Form) and not models and not is_subclass(first.annotation, BaseModel)


def add_form_union_validators(annotation: Any) -> Any:
    """Let each model of a union read the form's raw values its own way."""
    choices: list[Any] = []
    for choice in get_args(annotation):
        if choice is type(None):
            choices.append(choice)
            continue
        model, *metadata = get_args(choice) if get_origin(choice) is Annotated else (choice,)
        tags = [item for item in metadata if isinstance(item, Tag)]
        tag = tags[-1] if tags else Tag(model.__name__)
        choices.append(Annotated[choice, BeforeValidator(partial(_as_form_of, model)), tag])
    return Union[tuple(choices)]  # noqa: UP007


def _as_form_of(model: type[BaseModel], value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    pairs = [(key, item) for key, items in value.items() for item in (items if isinstance(items, list) else [items])]
    shaped = {alias: item for alias, item, _ in form_items(model_fields(model), FormData(pairs))}
    # No browser sends these, but a validator may have put them there.
    shaped.update({key: item for key, item in value.items() if item is None or (isinstance(item, list) and not item)})
    return shaped


def combined_field(model: EndpointModel) -> Field:
    """Return the whole body as one field, for documents."""
    from velithon.signature.annotations import is_optional
    from velithon.signature.formschema import form_schema_config, form_schema_fields

    fields = model.all_body_params
    first = fields[0]
    nullable = any(form_models(item) and is_optional(item.annotation) for item in fields)
    if not model.embed and not nullable:
        return first
    name = f"Body_{model.name or getattr(model.call, '__name__', 'endpoint')}"
    shown, config = fields, None
    if any(form_models(item) for item in fields):
        shown = form_schema_fields(fields)
        config = form_schema_config(fields)
    definitions: dict[str, Any] = {item.name: (item.annotation, item.info) for item in shown}
    whole: type[BaseModel] = create_model(name, __config__=config, **definitions)
    if not model.embed:
        info = copy(first.info)
        info.annotation = whole
        info.metadata = []
        info.discriminator = None
        return Field(first.name, info)
    return Field("body", _whole_info(fields, whole))


def _whole_info(fields: Sequence[Field], whole: type[BaseModel]) -> params.Body:
    infos = [item.info for item in fields if isinstance(item.info, params.Body)]
    kinds: tuple[type[params.Body], ...] = (params.File, params.Form, params.Body)
    kind = next(kind for kind in kinds if any(isinstance(info, kind) for info in infos))
    options: dict[str, Any] = {"annotation": whole, "alias": "body"}
    if not any(item.required for item in fields):
        options["default"] = None
    if kind is not params.File:
        media_types = {info.media_type for info in infos if isinstance(info, kind)}
        if kind is params.Form and "multipart/form-data" in media_types:
            options["media_type"] = "multipart/form-data"
        elif len(media_types) == 1:
            options["media_type"] = media_types.pop()
    info: params.Body = kind(**options)
    return info
