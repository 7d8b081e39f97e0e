"""Annotations with a name that is unknown at run time.

An example is a class that is imported under `TYPE_CHECKING` alone.
"""

from __future__ import annotations

import builtins
from typing import Annotated, Any, NamedTuple, get_args, get_origin

__all__ = ["Unknown", "evaluate_partly"]


class Unknown(NamedTuple):
    """An annotation that cannot be evaluated.

    Attributes:
        text: The annotation.
        name: The name in it that is unknown.
    """

    text: str
    name: str


class _Placeholder:
    """Stands for a type that is unknown, in expressions of types."""

    def __getattr__(self, name: str) -> _Placeholder:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, item: object) -> _Placeholder:
        return self

    def __or__(self, other: object) -> _Placeholder:
        return self

    __ror__ = __or__

    def __call__(self) -> None:
        """Be callable, which some of typing's constructs ask for."""


class _Names(dict[str, object]):
    """Names as `eval` looks them up; for one that is unknown, a placeholder."""

    def __missing__(self, name: str) -> object:
        return getattr(builtins, name) if hasattr(builtins, name) else _Placeholder()


def evaluate_partly(text: str, names: dict[str, object], missing: str) -> object:
    """Evaluate an annotation with an unknown name as far as its type is not needed.

    Args:
        text: The annotation.
        names: What its names mean.
        missing: The first name that is unknown.

    Returns:
        `Annotated[Any, ...]`, where what else it says makes the value, as `Depends(get_session)` does; else `Unknown`.
    """
    try:
        found = eval(text, {}, _Names(names))  # as its other evaluation, which has failed
    except Exception:  # noqa: BLE001 - whatever becomes of an expression with a placeholder, the name is unknown
        return Unknown(text, missing)
    if get_origin(found) is Annotated and any(map(_makes_the_value, get_args(found)[1:])):
        return Annotated[Any, *get_args(found)[1:]]
    return Unknown(text, missing)


def _makes_the_value(mark: object) -> bool:
    """Tell `Depends(function)` and `Provide[provider]`; `Depends()` calls the type itself."""
    return callable(getattr(mark, "dependency", None)) or hasattr(mark, "provider")
