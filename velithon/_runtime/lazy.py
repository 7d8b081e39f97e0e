"""Lazy module attributes (PEP 562)."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["lazy_attributes", "lazy_function"]


def lazy_attributes(name: str, sources: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a module's `__getattr__` and `__dir__` (PEP 562).

    Hide the first from type checkers, to which it would be every name.

    Args:
        name: The module's.
        sources: The module that each name comes from; a name that is its own source's is that module itself.
    """

    def get(attribute: str) -> Any:
        source = sources.get(attribute)
        if source is None:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        module = import_module(source)
        # `from package import module` would ask this function again.
        value = module if source == f"{name}.{attribute}" else getattr(module, attribute)
        vars(sys.modules[name])[attribute] = value
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[name]), *sources})

    return get, names


def lazy_function(module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports the one it stands for when it is called.

    In a class it is a method.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(module), name)(*args, **kwargs)

    return call
