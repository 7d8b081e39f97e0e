"""FastAPI's markers in a signature.

They are recognised by their classes' module and name, so that fastapi is never imported.

A marker that nobody reads would leave its parameter to the client: `user: str = Depends(current_user)` would be the
query's `user`. So what looks like the marker of a framework and is not known raises at registration.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard, get_args, get_origin
from weakref import WeakKeyDictionary

from pydantic.fields import FieldInfo

from velithon import params

if TYPE_CHECKING:
    from velithon.signature.dependencies import Concurrency

__all__ = ["adopt", "adopt_annotation", "find_unknown_marker", "is_named"]

_PLACES: dict[str, type[FieldInfo]] = {
    name: getattr(params, name) for name in ("File", "Form", "Body", "Path", "Header", "Cookie", "Query")
}
# FastAPI's bases, which its own reader takes too; a place that says nothing else is the query.
_BASES: dict[str, type[FieldInfo]] = {"Param": params.Query}
_ADDED = ("openapi_examples", "include_in_schema", "convert_underscores", "embed", "media_type")
# What frameworks call their markers; the names of their factories end so too (`TaskiqDepends`, `FromDishka`).
_WORDS = (*_PLACES, "Param", "Parameter", "Depends", "Security", "Dependency", "Inject", "Injected", "Provide")
_ENDINGS = ("Depends", "Dependency", "Dependant", "Inject", "Provide")
_OURS_AND_THEIRS = ("velithon", "fastapi")
_PYDANTIC_HOOKS = ("__get_pydantic_core_schema__", "__get_pydantic_json_schema__", "__get_validators__")
_concurrency: WeakKeyDictionary[object, Concurrency] = WeakKeyDictionary()


def is_named(cls: object, name: str) -> bool:
    """Tell whether a class is, or derives from, Velithon's or FastAPI's of a name."""
    return any(base.__name__ == name and _get_package(base) in _OURS_AND_THEIRS for base in getattr(cls, "__mro__", ()))


def _get_package(item: object) -> str:
    return (getattr(item, "__module__", None) or "").partition(".")[0]


def adopt(item: object) -> object:
    """Return Velithon's marker for one of FastAPI's, with the same meaning.

    Anything else as it is.
    """
    for cls in type(item).__mro__:
        if _get_package(cls) != "fastapi":
            continue
        name = cls.__name__
        if name in ("Depends", "Security"):
            return _adopt_dependency(item)
        place = _PLACES.get(name) or _BASES.get(name)
        if place is not None and isinstance(item, FieldInfo):
            return _adopt_field(item, place)
    return item


def adopt_annotation(annotation: object) -> object:
    """Return an annotation whose `Annotated` metadata holds Velithon's markers in place of FastAPI's."""
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, *metadata = get_args(annotation)
    adopted = [adopt(item) for item in metadata]
    if all(new is old for new, old in zip(adopted, metadata, strict=True)):
        return annotation
    return Annotated[(kind, *adopted)]


def _adopt_dependency(item: Any) -> params.Depends:
    limit = getattr(item, "max_concurrency", None)
    common = {
        "dependency": item.dependency,
        "use_cache": item.use_cache,
        "scope": getattr(item, "scope", None),
        "max_concurrency": limit,
        # Whoever shares the marker shares its count of calls.
        "_concurrency": None if limit is None else _get_shared_concurrency(getattr(item, "_concurrency", item), limit),
    }
    if is_named(type(item), "Security"):
        return params.Security(**common, scopes=tuple(item.scopes or ()))
    return params.Depends(**common)


def _get_shared_concurrency(owner: object, limit: int) -> Concurrency:
    from velithon.signature.dependencies import Concurrency

    found = _concurrency.get(owner)
    if found is None:
        found = _concurrency[owner] = Concurrency(limit)
    return found


def _adopt_field(item: FieldInfo, place: type[FieldInfo]) -> object:
    """Copy a foreign field into one of ours.

    The copy has pydantic's attributes, and those that HTTP adds.
    """
    field: Any = place.__new__(place)
    for name in FieldInfo.__slots__:
        if hasattr(item, name):
            setattr(field, name, getattr(item, name))
    field.metadata = list(item.metadata)
    for name in _ADDED:
        if hasattr(item, name):
            setattr(field, name, getattr(item, name))
    example = getattr(item, "example", params.Undefined)
    # FastAPI's word for "not given" is a placeholder of its own.
    field.example = params.Undefined if type(example).__name__ == "DefaultPlaceholder" else example
    return field


def find_unknown_marker(value: object, annotation: object, *, marked: bool) -> str | None:
    """Say what is wrong with a parameter in which something stands that means nothing here.

    Args:
        value: The default.
        annotation: The whole annotation, with its metadata.
        marked: Whether the annotation holds a marker that is known, beside which others may stand.

    Returns:
        The problem, or None where all is known.
    """
    kind, *metadata = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    # An instance of the parameter's own class is a value, whatever the class is called.
    found = [] if kind is not object and kind in type(value).__mro__ else [value]
    if not marked:
        found += [item for item in metadata if not any(hasattr(type(item), hook) for hook in _PYDANTIC_HOOKS)]
    for item in found:
        if _is_uncalled(item):
            return f"{item.__name__} stands there without being called, and would be ignored: write {item.__name__}()"
        if _is_marker(item):
            cls = type(item)
            return (
                f"{cls.__module__}.{cls.__qualname__} looks like another framework's marker and would be ignored, the "
                "value taken from the client: use Depends(), Query() and their kin of velithon or fastapi"
            )
    for arg in get_args(kind):
        if get_origin(arg) is Annotated and any(isinstance(adopt(item), params.Depends) for item in get_args(arg)[1:]):
            return f"Depends() inside {kind!r} would be ignored: Annotated[..., Depends()] goes around the whole type"
    return None


def _is_uncalled(item: object) -> TypeGuard[type]:
    """Tell whether it is `Depends` where `Depends()` was meant."""
    return getattr(item, "__name__", None) in _WORDS and _get_package(item) in _OURS_AND_THEIRS


def _is_marker(item: object) -> bool:
    if isinstance(item, type | FieldInfo):
        return False  # a FieldInfo says where it stands, or is refused because it does not
    if hasattr(item, "dependency") and hasattr(item, "use_cache"):
        return True
    # `pathlib.Path` and `email.header.Header` are values.
    classes = [cls for cls in type(item).__mro__ if _get_package(cls) not in sys.stdlib_module_names]
    return any(cls.__name__ in _WORDS or cls.__name__.endswith(_ENDINGS) for cls in classes)
