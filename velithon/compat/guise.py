"""Our objects in the hands of FastAPI's own code: `isinstance(ours, fastapi.params.Depends)` is true there.

A package's router is FastAPI's, and FastAPI reads the dependencies that an application gives to it. It looks for
markers by `isinstance`, which asks for an object's `__class__` after its type. So ours name FastAPI's class there, once
it is imported.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

__all__ = ["guise_of"]


def guise_of(cls: type, module: str) -> type:
    """Return what objects of a class of ours say that their class is.

    Args:
        cls: The class.
        module: The module of FastAPI that has a class of the same name, or of the same name as one of its bases.

    Returns:
        A subclass of FastAPI's, which makes objects of ours when it is called; `cls` where FastAPI is not imported, or
        is us.
    """
    theirs = sys.modules.get(module)
    return cls if theirs is None else _guise(cls, theirs)


@cache
def _guise(cls: type, theirs: Any) -> type:
    for base in cls.__mro__:
        found = getattr(theirs, base.__name__, None)
        if isinstance(found, type) and base.__module__.startswith("velithon."):
            break
    else:
        return cls
    if issubclass(cls, found):
        return cls

    def make(_: type, *args: Any, **options: Any) -> Any:
        return cls(*args, **options)

    # `dataclasses.replace` and `copy` call it.
    return type(cls.__name__, (found,), {"__new__": make, "__module__": cls.__module__})
