"""Tells at registration whether pydantic can validate an annotation.

Nothing is built for the types that pydantic surely validates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from pydantic import BaseModel
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import SchemaError

from velithon.exceptions import PydanticV1NotSupportedError
from velithon.params import Depends
from velithon.signature.annotations import is_subclass, is_union, list_members
from velithon.signature.fields import Field
from velithon.signature.unknown import Unknown

_SCALARS = frozenset(
    {str, int, float, bool, bytes, type(None), date, datetime, time, timedelta, Decimal, UUID, Any, Ellipsis}
)
_CONTAINERS = (list, dict, set, frozenset, tuple)


def is_plain(annotation: object) -> bool:
    """Tell whether the annotation is made only of types that pydantic surely validates."""
    try:
        if annotation in _SCALARS:
            return True
    except TypeError:
        return False
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if is_union(annotation) or origin in _CONTAINERS:
        return all(map(is_plain, get_args(annotation)))
    if annotation in _CONTAINERS:
        return True
    return origin is None and is_subclass(annotation, (BaseModel, Enum))


_NUMERIC: dict[str, type] = {"gt": Gt, "ge": Ge, "lt": Lt, "le": Le, "multiple_of": MultipleOf}
_LENGTHS: dict[str, type] = {"min_length": MinLen, "max_length": MaxLen}
_TEXT = frozenset({str, bytes})
_NUMBERS = frozenset({int, float, bool, Decimal})


def find_unusable_constraint(field: Field) -> str | None:
    """Return a constraint that no value of a plain type can satisfy.

    Pydantic would only find out at a request.
    """
    kinds = list_members(field.annotation)
    if _all_among(kinds, _TEXT):
        wrong = _NUMERIC
    elif _all_among(kinds, _NUMBERS):
        wrong = _LENGTHS
    else:
        return None
    for item in field.info.metadata:
        for name, cls in wrong.items():
            if isinstance(item, cls):
                return name
        if wrong is _LENGTHS and getattr(item, "pattern", None) is not None:
            return "pattern"
    return None


def _all_among(kinds: Iterable[object], types: Iterable[type]) -> bool:
    # By identity: metadata inside a type may have no hash.
    return all(any(kind is one for one in types) for kind in kinds)


def _find_pydantic_v1_model(annotation: object) -> type | None:
    """Return a model of pydantic.v1 in an annotation, or none.

    pydantic 2 would take it, and validate it by other rules.
    """
    if is_subclass(annotation, object):
        found = any(
            (base.__module__, base.__name__) == ("pydantic.v1.main", "BaseModel") for base in annotation.__mro__
        )
        return annotation if found else None
    return next(filter(None, map(_find_pydantic_v1_model, get_args(annotation))), None)


def _find_class(annotation: object, is_wanted: Callable[[type], bool]) -> type | None:
    """Return the first class in an annotation that is wanted."""
    if isinstance(annotation, type) and is_wanted(annotation):
        return annotation
    return next(filter(None, (_find_class(argument, is_wanted) for argument in get_args(annotation))), None)


def find_table_class(annotation: object) -> type | None:
    """Return a class in an annotation whose objects are rows of SQLAlchemy."""
    return _find_class(annotation, lambda cls: hasattr(cls, "__mapper__"))


def _is_session(cls: type) -> bool:
    return any(
        base.__module__.startswith("sqlalchemy.") and base.__name__ in ("AsyncSession", "Session")
        for base in cls.__mro__
    )


def _advise(annotation: object, reason: str) -> str:
    """Return what is wrong with an annotation that pydantic cannot validate, and the cure."""
    shown = getattr(annotation, "__name__", None) or repr(annotation)
    table = find_table_class(annotation)
    if table is not None:
        return (
            f"{table.__name__} is the class of a table, and a row may have columns that no client should see: declare "
            "a pydantic model with the fields that are meant and model_config = ConfigDict(from_attributes=True), and "
            "write it here"
        )
    session = _find_class(annotation, _is_session)
    if session is not None:
        return (
            f"{session.__name__} is a session of a database, which a dependency gives: "
            f"write Annotated[{session.__name__}, database.session], or Depends(...) with a function of your own"
        )
    return (
        f"pydantic cannot validate {shown} as declared ({reason}): use a type that it knows, "
        "a pydantic model, or Depends(...) for a value that is made"
    )


def describe_no_callable(given: object) -> str:
    """Return what is wrong with what `Depends()` was given, and the cure."""
    if isinstance(given, Depends):
        return (
            "Depends() was given a dependency, which stands alone: write Annotated[AsyncSession, database.session], "
            "not Annotated[AsyncSession, Depends(database.session)]"
        )
    return f"Depends() takes a callable, not {given!r}"


def check_annotation(field: Field, fail: Callable[[str], Exception]) -> None:
    """Raise what `fail` makes of the problem if pydantic cannot validate a field's annotation."""
    annotation = field.annotation
    if not field.info.metadata and field.info.discriminator is None and is_plain(annotation):
        return
    if isinstance(annotation, Unknown):
        raise fail(
            f"The name {annotation.name!r} of its annotation {annotation.text!r} is unknown where the endpoint is "
            "defined: import it for the running program too, not only under TYPE_CHECKING"
        )
    old = _find_pydantic_v1_model(annotation)
    if old is not None:
        problem = f"{old.__name__} is a model of pydantic.v1: derive it from pydantic.BaseModel"
        raise PydanticV1NotSupportedError(str(fail(problem)))
    wrong = find_unusable_constraint(field)
    if wrong is not None:
        raise fail(f"The constraint {wrong} means nothing for {annotation!r}: leave it out, or change the type")
    try:
        _ = field.validator
    except PydanticUndefinedAnnotation as error:
        raise fail(f"The name {error.name!r} of its annotation is unknown where the endpoint is defined") from error
    except (PydanticSchemaGenerationError, PydanticUserError, SchemaError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        if field.has_structs:
            raise fail(reason) from error
        raise fail(_advise(annotation, reason)) from error
