"""Models with some dependencies replaced, for `app.dependency_overrides`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Annotated, get_args, get_origin

from velithon.params import Depends
from velithon.signature.bodies.registry import find_body
from velithon.signature.model import DependencyModel, EndpointModel
from velithon.signature.read import read_dependency

Overrides = Mapping[Callable[..., object], Callable[..., object]]


def apply_overrides(model: EndpointModel, overrides: Overrides) -> EndpointModel:
    """Return an endpoint's model with dependencies replaced, at every depth.

    What the body is stays as it was registered, unless a replacement reads a field of it that nobody read before:
    clients send the same, whatever a test replaces.

    Args:
        model: The endpoint, left as it is.
        overrides: Callable -> callable. A `Depends(...)`, or an `Annotated` that has one, means its callable.

    Raises:
        TypeError: A key or a replacement is no dependency.
    """
    overrides = {_find_callable(key): _find_callable(other) for key, other in overrides.items()}
    dependencies = [_replace_dependencies(dependency, overrides, frozenset()) for dependency in model.dependencies]
    made = copy(model)
    made.dependencies = dependencies
    if _list_body_names(made) - _list_body_names(model):
        made.body = find_body(made.walk())
    return made


def _find_callable(given: object) -> Callable[..., object]:
    found = given
    if get_origin(given) is Annotated:
        found = next((marker for marker in get_args(given)[1:] if isinstance(marker, Depends)), None)
    if isinstance(found, Depends):
        found = found.dependency
    if not callable(found):
        raise TypeError(f"dependency_overrides takes callables, or Depends(...) of one, not {given!r}.")
    return found


def _list_body_names(model: EndpointModel) -> set[str]:
    return {field.name for node in model.walk() for field in node.body_params}


def _replace_dependencies(node: DependencyModel, overrides: Overrides, inside: frozenset[int]) -> DependencyModel:
    other = overrides.get(node.call, node.call)
    key = node.cache_key
    # A replacement may depend on what it replaces.
    if other is not node.call and id(node.call) not in inside:
        inside = inside | {id(node.call)}
        made = read_dependency(other, node, parent_scopes=tuple(node.scopes))
    else:
        made = copy(node)
    made.known_as = key
    made.dependencies = [_replace_dependencies(child, overrides, inside) for child in made.dependencies]
    return made
