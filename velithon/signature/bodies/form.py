"""Bodies that are forms: repeated keys, empty inputs, files, whole models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from copy import copy
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from anyio import CancelScope
from pydantic import BaseModel, BeforeValidator, RootModel, Tag
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from velithon import params
from velithon.requests.forms import TextForm
from velithon.signature.annotations import find_sequence, holds, holds_many, is_optional, is_subclass
from velithon.signature.bodies.document import build_unreadable_error
from velithon.signature.bodies.form_schema import build_flat_config, rename_fields
from velithon.signature.bodies.format import Body
from velithon.signature.fields import Errors, Field, Undefined, find_form_models, list_aliases, read_model_fields
from velithon.signature.limits import DEFAULT_LIMITS
from velithon.signature.values import get_values, iterate_extras, validate_optional

if TYPE_CHECKING:
    from velithon.signature.bodies.format import BodyPlan


class FormBody(Body):
    """A form, whose fields are parameters, or the fields of models."""

    media_types = ("application/x-www-form-urlencoded", "multipart/form-data")
    label = "a form"
    needs_exit = True

    @classmethod
    def is_declared(cls, fields: Sequence[Field]) -> bool:
        """Tell whether an endpoint takes a form: one of its fields is `Form()` or `File()`."""
        return any(isinstance(field.info, params.Form) for field in fields)

    def must_embed(self) -> bool:
        """Tell whether each field stands under its own key.

        All do, but for the fields of models.
        """
        first, others = self.fields[0], self.fields[1:]
        models = find_form_models(first)
        if models and any(not find_form_models(field) or field.annotation is not first.annotation for field in others):
            return True
        if super().must_embed():
            return True
        return isinstance(first.info, params.Form) and not models and not is_subclass(first.annotation, BaseModel)

    def write_reading(self, plan: BodyPlan) -> str:
        limits = ", ".join(str(plan.form_limits[name]) for name in DEFAULT_LIMITS)
        plan.out.line(f"form = await {plan.use(read_form)}(request, {limits})")
        with plan.out.block(f"if type(form) is not {plan.out.constant(TextForm, 'TextForm')}:"):
            plan.out.line(f"stack.push_async_callback({plan.use(close_form)}, form)")
        return "form"

    def write_fields(self, plan: BodyPlan, fields: Sequence[Field], errors: str | None) -> dict[str, str]:
        out = plan.out
        reader = out.constant(FormReader(fields, self.embed), "read_form_fields")
        arguments = {field.name: out.fresh(field.name) for field in fields}
        values = out.fresh("form_values")
        out.line(f"{values}, found = await {reader}(form)")
        plan.write_found(errors)
        for field in fields:
            out.line(f"{arguments[field.name]} = {values}[{field.name!r}]")
        return arguments

    def describe(self, name: str) -> Field:
        """Return the whole form as one field.

        Its schema has the fields of models beside the others.
        """
        models = [field for field in self.fields if find_form_models(field)]
        if not self.embed and not any(is_optional(field.annotation) for field in models):
            return self.fields[0]
        if models:
            whole = self.build_whole_model(name, rename_fields(self.fields), build_flat_config(self.fields))
        else:
            whole = self.build_whole_model(name, self.fields)
        if self.embed:
            if any(isinstance(field.info, params.File) for field in self.fields):
                return self.build_whole_field(whole, params.File)
            return self.build_whole_field(whole, params.Form, "multipart/form-data")
        info = copy(self.fields[0].info)
        info.annotation = whole
        info.metadata = []
        info.discriminator = None
        return Field(self.fields[0].name, info)


def needs_json(field: Field) -> bool:
    """Tell whether no text of a form can be the value.

    So it is for a required model that takes objects alone.
    """
    model = field.annotation
    if isinstance(field.info, params.Form) or field.info.metadata or not field.required:
        return False
    if not is_subclass(model, BaseModel) or is_subclass(model, RootModel) or not model.__pydantic_complete__:
        return False
    # A validator before or around the model may read text; so may a schema that the class made itself.
    return not model.__pydantic_decorators__.model_validators and model.__pydantic_core_schema__["type"] == "model"


async def read_form(request: Request, max_files: int, max_fields: int, max_part_size: int) -> FormData:
    """Read the body as a form; one that was read keeps to the limits too.

    Raises:
        HTTPException: The form is over a limit, or is none.
    """
    was_read = request._form is not None
    try:
        form = await request.form(max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)
    except Exception as error:
        raise build_unreadable_error(error) from error
    if was_read:
        # The layer may have allowed more.
        _check_form(form, max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)
    return form


def _check_form(form: FormData, **limits: int) -> None:
    """Hold a form that was read before to a route's limits; one that is the default asks for nothing.

    Raises:
        HTTPException: The form is over a limit; in the words of Starlette's parser.
    """
    max_files, max_fields, max_part_size = (
        limits[name] if limits[name] != default else inf for name, default in DEFAULT_LIMITS.items()
    )
    items = form.multi_items()
    texts = [value for _, value in items if isinstance(value, str)]
    if len(items) - len(texts) > max_files:
        raise HTTPException(400, f"Too many files. Maximum number of files is {max_files}.")
    if len(texts) > max_fields:
        raise HTTPException(400, f"Too many fields. Maximum number of fields is {max_fields}.")
    if max_part_size < inf and any(len(text.encode()) > max_part_size for text in texts):
        raise HTTPException(400, f"Part exceeded maximum size of {int(max_part_size / 1024)}KB.")


async def close_form(form: FormData) -> None:
    """Close a form's files, which removes them, whether the task was cancelled or not."""
    with CancelScope(shield=True):
        await form.close()


def iterate_form(fields: Sequence[Field], form: FormData) -> Iterator[tuple[str, object, Field | None]]:
    """Yield (name, value, field) for each field of the form, then what has no field."""
    known: set[str] = set()
    for field in fields:
        for alias, _ in list_aliases(field):
            known.add(alias)
            value = get_values(field, form, alias)
            if value is not Undefined:
                yield alias, value, field
                break
    for name, value in iterate_extras(form, known):
        yield name, value, None


async def _read_file(file: UploadFile) -> bytes:
    """Read a file whole and leave it where it was: another parameter may share it."""
    position = file.file.tell()
    try:
        return await file.read()
    finally:
        await file.seek(position)


class _Input:
    """A field as a form carries it.

    Its declaration is read once, not with every form.
    """

    __slots__ = ("as_bytes", "field", "many", "names")

    def __init__(self, field: Field) -> None:
        self.field = field
        self.names = [alias for alias, _ in list_aliases(field)]
        self.many = field.is_sequence
        self.as_bytes: Callable[[object], Awaitable[object]] | None = None
        if isinstance(field.info, params.File):
            if holds(field.annotation, bytes):
                self.as_bytes = self._read_one
            elif self.many and not field.is_json and holds_many(field.annotation, bytes):
                self.as_bytes = self._read_all

    async def _read_one(self, value: object) -> object:
        return await _read_file(value) if isinstance(value, UploadFile) else value

    async def _read_all(self, value: Any) -> object:
        read = [await _read_file(item) if isinstance(item, UploadFile) else item for item in value]
        return find_sequence(self.field.annotation)(read)

    def find(self, form: FormData, known: set[str]) -> tuple[str, object]:
        """Return the name and the value that the form has for it, or `PydanticUndefined`.

        Note the names looked for.
        """
        for name in self.names:
            known.add(name)
            value = get_values(self.field, form, name, self.many)
            if value is not Undefined:
                return name, value
        return self.names[0], Undefined


async def _read_inputs(inputs: Sequence[_Input], form: FormData) -> dict[str, object]:
    """Return everything in a form by name, what no field asked for last."""
    known: set[str] = set()
    values: dict[str, object] = {}
    for item in inputs:
        name, value = item.find(form, known)
        if value is not Undefined:
            values[name] = value if item.as_bytes is None else await item.as_bytes(value)
    values.update(iterate_extras(form, known))
    return values


class _Texts:
    """Inputs with one name and one text each, which most models of forms have alone."""

    __slots__ = ("_known", "_names")

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._known = frozenset(names)

    @classmethod
    def build(cls, inputs: Sequence[_Input]) -> _Texts | None:
        """Return them, where all inputs are such."""
        if any(item.many or item.as_bytes is not None or len(item.names) > 1 for item in inputs):
            return None
        return cls([item.names[0] for item in inputs])

    def read(self, form: TextForm) -> dict[str, object] | None:
        """Return what `_read_inputs` does; `None` where there is something that no input asked for."""
        found: dict[str, object] = dict(form.items())
        names = list(found)
        if names != self._names:
            if not self._known.issuperset(names):
                return None
            found = {name: found[name] for name in self._names if name in found}
        if "" in found.values():
            found = {name: value for name, value in found.items() if value != ""}
        return found


class _Models:
    """A field that stands for a model, or for a union of models.

    The fields of the models are those of the form.
    """

    __slots__ = ("field", "inputs", "is_optional", "keeps_extras", "names", "texts")

    def __init__(self, field: Field, models: list[type[BaseModel]]) -> None:
        self.field = field
        self.is_optional = is_optional(field.annotation)
        self.names = {alias for model in models for item in read_model_fields(model) for alias, _ in list_aliases(item)}
        self.keeps_extras = any(model.model_config.get("extra") in ("allow", "forbid") for model in models)
        # A union's choices read the raw values each in its own way, in their validators.
        self.inputs = [_Input(item) for item in read_model_fields(models[0])] if len(models) == 1 else []
        self.texts = _Texts.build(self.inputs)

    async def take(self, form: FormData) -> object:
        """Return what the models are validated from; `PydanticUndefined` when nothing came for an optional one."""
        if self.is_optional and not self.names.intersection(form) and not (self.keeps_extras and form):
            return Undefined
        if self.texts is not None and type(form) is TextForm:
            found = self.texts.read(form)
            if found is not None:
                return found
        return await _read_inputs(self.inputs, form)


class FormReader:
    """Takes the values of one callable's fields out of forms.

    Args:
        fields: The callable's body fields.
        embed: Whether fields stand under keys of their own.
    """

    def __init__(self, fields: Sequence[Field], embed: bool) -> None:
        self._items: list[_Input | _Models] = []
        for field in fields:
            models = find_form_models(field)
            self._items.append(_Models(field, models) if models else _Input(field))
        first = self._items[0] if len(self._items) == 1 and not embed else None
        self._only = first if isinstance(first, _Input) else None

    async def __call__(self, form: FormData) -> tuple[dict[str, object], Errors]:
        """Return the values by parameter name, and the errors."""
        if self._only is not None:
            field = self._only.field
            value, errors = validate_optional(field, await _read_inputs([self._only], form), ("body",))
            return {field.name: value}, errors
        values: dict[str, object] = {}
        all_errors: Errors = []
        known: set[str] = set()
        for item in self._items:
            location: tuple[str, ...] = ("body",)
            if isinstance(item, _Models):
                value = await item.take(form)
            else:
                name, value = item.find(form, known)
                if item.as_bytes is not None and value is not Undefined:
                    value = await item.as_bytes(value)
                location = ("body", name)
            values[item.field.name], errors = validate_optional(item.field, value, location)
            all_errors += errors
        return values, all_errors


def add_form_union_validators(annotation: object) -> object:
    """Let each model of a union read the form's raw values its own way."""
    choices: list[object] = []
    for choice in get_args(annotation):
        if choice is type(None):
            choices.append(choice)
            continue
        model, *metadata = get_args(choice) if get_origin(choice) is Annotated else (choice,)
        tags = [item for item in metadata if isinstance(item, Tag)]
        tag = tags[-1] if tags else Tag(model.__name__)
        choices.append(Annotated[choice, BeforeValidator(partial(_group_form_values, model)), tag])
    return Union[tuple(choices)]  # noqa: UP007


def _group_form_values(model: type[BaseModel], value: object) -> object:
    if not isinstance(value, dict):
        return value
    pairs = [(key, item) for key, items in value.items() for item in (items if isinstance(items, list) else [items])]
    shaped = {alias: item for alias, item, _ in iterate_form(read_model_fields(model), FormData(pairs))}
    # No browser sends these, but a validator may have put them there.
    shaped.update({key: item for key, item in value.items() if item is None or (isinstance(item, list) and not item)})
    return shaped
