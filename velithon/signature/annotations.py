"""What kind of thing an annotation names.

The answers decide where a parameter without `Query()` or its like comes from.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from types import UnionType
from typing import Annotated, ForwardRef, Literal, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from starlette.datastructures import UploadFile
from typing_extensions import TypeAliasType

from velithon.signature.unknown import evaluate_partly

SEQUENCES: dict[type, type] = {
    Sequence: list,
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    deque: deque,
}
_SEQUENCE_TYPES = tuple(SEQUENCES)
_ALIASES: tuple[type[TypeAliasType], ...] = (TypeAliasType, getattr(typing, "TypeAliasType", TypeAliasType))

T = TypeVar("T")


def is_subclass(annotation: object, classes: type[T] | tuple[type[T], ...]) -> TypeGuard[type[T]]:
    """Tell whether an annotation is a class derived from `classes`.

    Anything that is no class is not.
    """
    return isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, classes)


def is_union(annotation: object) -> bool:
    """Tell `Union[...]` and `... | ...` from everything else."""
    origin = get_origin(annotation)
    return origin is Union or origin is UnionType


def unalias(annotation: object) -> object:
    """Open a PEP 695 alias."""
    while isinstance(annotation, _ALIASES):
        annotation = annotation.__value__
    return annotation


def strip_metadata(annotation: object) -> object:
    """Return what `Annotated` wraps."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def list_members(annotation: object) -> tuple[object, ...]:
    """Return the choices of a union without None, or the annotation itself."""
    if is_union(annotation):
        return tuple(arg for arg in get_args(annotation) if arg is not type(None))
    return (annotation,)


def is_optional(annotation: object) -> bool:
    """Tell whether None is one of a union's choices."""
    return is_union(annotation) and type(None) in get_args(annotation)


def is_struct(annotation: object) -> bool:
    """Tell the classes that msgspec reads: Structs, and attrs classes without a pydantic schema."""
    return (
        isinstance(annotation, type)
        and (hasattr(annotation, "__struct_fields__") or "__attrs_attrs__" in annotation.__dict__)
        and not hasattr(annotation, "__get_pydantic_core_schema__")
    )


def holds_structs(annotation: object) -> bool:
    """Tell whether an annotation is, or has among its arguments, a class that msgspec reads."""
    arguments = get_args(annotation)
    if not arguments:
        return is_struct(annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        return False
    if origin is Annotated:
        return holds_structs(arguments[0])
    return is_struct(origin) or any(map(holds_structs, arguments))


def find_struct(annotation: object) -> object:
    """Return the Struct or attrs class that the annotation is, or is optionally."""
    choices = list_members(annotation)
    return choices[0] if len(choices) == 1 and is_struct(choices[0]) else None


def _is_sequence_class(annotation: object) -> bool:
    return is_subclass(annotation, _SEQUENCE_TYPES) and not issubclass(annotation, str | bytes)


def is_sequence(annotation: object) -> bool:
    """Tell whether the annotation, or a choice of it, holds many values."""
    annotation = strip_metadata(annotation)
    if is_union(annotation):
        return any(is_sequence(arg) for arg in get_args(annotation))
    return _is_sequence_class(annotation) or _is_sequence_class(get_origin(annotation))


def _is_complex_class(annotation: object) -> bool:
    return (
        is_subclass(annotation, (BaseModel, Mapping, UploadFile))
        or _is_sequence_class(annotation)
        or is_dataclass(annotation)
        or is_struct(annotation)
    )


def is_scalar(annotation: object) -> bool:
    """Tell whether one string can carry the value, so that a query can hold it."""
    annotation = strip_metadata(annotation)
    if annotation is Ellipsis:
        return True
    if is_union(annotation):
        return all(is_scalar(arg) for arg in get_args(annotation))
    origin = get_origin(annotation)
    return not (
        _is_complex_class(annotation)
        or _is_complex_class(origin)
        or hasattr(origin, "__pydantic_core_schema__")
        or hasattr(origin, "__get_pydantic_core_schema__")
    )


def is_scalar_sequence(annotation: object) -> bool:
    """Tell whether a repeated query key can carry the value."""
    annotation = strip_metadata(annotation)
    if is_union(annotation):
        found = False
        for arg in get_args(annotation):
            if is_scalar_sequence(arg):
                found = True
            elif not is_scalar(arg):
                return False
        return found
    return is_sequence(annotation) and all(is_scalar(arg) for arg in get_args(annotation))


def holds(annotation: object, cls: type) -> bool:
    """Tell whether the annotation is `cls` or a union with it."""
    return any(is_subclass(arg, cls) for arg in list_members(annotation))


def holds_many(annotation: object, cls: type) -> bool:
    """Tell whether the annotation is a sequence of `cls`, or a union with one."""
    if is_union(annotation):
        return any(holds_many(arg, cls) for arg in get_args(annotation))
    args = get_args(annotation)
    # A bare `list` says nothing about what it holds.
    return bool(args) and is_sequence(annotation) and all(holds(arg, cls) for arg in args)


def find_model(annotation: object) -> type[BaseModel] | None:
    """Return the pydantic model that the annotation is, or is optionally."""
    choices = list_members(annotation)
    if len(choices) == 1 and is_subclass(choices[0], BaseModel):
        model: type[BaseModel] = choices[0]
        return model
    return None


def find_sequence(annotation: object) -> type:
    """Return the class that collects the values of a sequence annotation."""
    choice = list_members(annotation)[0]
    origin = get_origin(choice) or choice
    return SEQUENCES.get(origin, list)  # type: ignore[arg-type]  # what is no class is no key either


def replace_class(annotation: object, old: type, new: type) -> object:
    """Replace a class in an annotation, at any depth of unions and containers."""
    if annotation is old:
        return new
    args = get_args(annotation)
    if not args or get_origin(annotation) is Literal:
        return annotation
    replaced = tuple(replace_class(arg, old, new) for arg in args)
    if replaced == args:
        return annotation
    if is_union(annotation):
        return Union[replaced]  # noqa: UP007
    return get_origin(annotation)[replaced]  # type: ignore[index]  # what has arguments has an origin


def read_signature(call: Callable[..., object]) -> inspect.Signature:
    """Read a callable's signature with its annotations evaluated as far as their names are known.

    Args:
        call: A function, class, instance with `__call__`, partial, or wrapped callable.
    """
    try:
        signature = inspect.signature(call, eval_str=True)
    except NameError:
        signature = inspect.signature(call)
    # Where all annotations are text, a quoted one is still text after one evaluation; others hold text inside.
    found = [parameter.annotation for parameter in signature.parameters.values()]
    if not any(map(_is_open, found)) and not _is_open(signature.return_annotation):
        return signature
    names = _Names(call)
    parameters = [
        parameter.replace(annotation=_evaluate(parameter.annotation, names, evaluate_partly))
        for parameter in signature.parameters.values()
    ]
    returned = _evaluate(signature.return_annotation, names)
    return signature.replace(parameters=parameters, return_annotation=returned)


class _Names(dict[str, object]):
    """The names that a callable's annotations may use.

    They are those of its module, and those local to where it is defined.

    Registration usually happens in the very function that defines the endpoint, so its frame is on the stack: it is the
    one whose code holds the endpoint's code.
    """

    def __init__(self, call: Callable[..., object]) -> None:
        function = strip_wrappers(call)
        if inspect.isclass(function):
            function = function.__init__
        function = getattr(function, "__func__", function)
        super().__init__(getattr(function, "__globals__", {}))
        code = getattr(function, "__code__", None)
        frame = sys._getframe(1)
        while frame is not None and code is not None:
            if code in frame.f_code.co_consts:
                self.update(frame.f_locals)
                break
            frame = frame.f_back  # type: ignore[assignment]  # None ends the loop


def _is_open(annotation: object) -> bool:
    """Tell whether an annotation is, or holds, text that names a type."""
    if isinstance(annotation, str | ForwardRef):
        return True
    args = get_args(annotation)
    if not args or get_origin(annotation) is Literal:
        return False
    if get_origin(annotation) is Annotated:
        return _is_open(args[0])
    return any(_is_open(item) for arg in args for item in (arg if isinstance(arg, list) else (arg,)))


def _keep_as_forward_ref(text: str, names: dict[str, object], missing: str) -> object:
    return ForwardRef(text)


def _evaluate(
    annotation: object,
    names: dict[str, object],
    otherwise: Callable[[str, dict[str, object], str], object] = _keep_as_forward_ref,
) -> object:
    while isinstance(text := annotation, str):
        try:
            annotation = eval(text, names)  # the same evaluation that `inspect.signature(eval_str=True)` does
        except NameError as error:
            return otherwise(text, names, str(error.name))
    if not _is_open(annotation):
        return annotation
    try:
        # What stands inside other annotations; pydantic would look for the names elsewhere.
        return get_type_hints(_Holder(annotation), names, include_extras=True)["held"]
    except NameError:
        return annotation


class _Holder:
    """Something annotated, as `typing.get_type_hints` takes it."""

    def __init__(self, annotation: object) -> None:
        self.__annotations__ = {"held": annotation}


def strip_partials(call: Callable[..., object]) -> Callable[..., object]:
    """Return the callable inside `functools.partial` objects."""
    while isinstance(call, partial):
        call = call.func
    return call


def strip_wrappers(call: Callable[..., object]) -> Callable[..., object]:
    """Return the callable inside partials and `functools.wraps` wrappers."""
    innermost: Callable[..., object] = inspect.unwrap(strip_partials(call))
    return innermost
