"""Our objects in the hands of code that knows FastAPI: `isinstance(app, fastapi.FastAPI)` is true there.

Packages look for applications, routes and markers by `isinstance`, and so does FastAPI, which reads the dependencies
that a router of its own is given. `isinstance` asks for an object's `__class__` after its type. So ours name FastAPI's
class there, once it is imported.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

__all__ = ["Guised", "find_guise"]

_PARAMS = ("Depends", "Security", "Param", "Path", "Query", "Header", "Cookie", "Body", "Form", "File")
# Module and name of ours -> module and name of FastAPI's.
_THEIRS = {
    ("velithon.application", "Velithon"): ("fastapi.applications", "FastAPI"),
    ("velithon.routing.router", "Router"): ("fastapi.routing", "APIRouter"),
    ("velithon.routing.routes", "Route"): ("fastapi.routing", "APIRoute"),
    ("velithon.routing.routes", "WebSocketRoute"): ("fastapi.routing", "APIWebSocketRoute"),
    **{("velithon.params", name): ("fastapi.params", name) for name in _PARAMS},
}


class Guised:
    """What FastAPI's own class counts as the class of, once FastAPI is imported.

    To Velithon it is what it is.
    """

    if not TYPE_CHECKING:
        __slots__ = ()

        @property
        def __class__(self) -> type:
            return find_guise(type(self))

        def __dir__(self) -> list[str]:
            """Name what there is, which `dir` would look for in `__class__`."""
            return sorted({*dir(type(self)), *vars(self)})


def find_guise(cls: type) -> type:
    """Return what objects of a class of ours say that their class is.

    Returns:
        A subclass of FastAPI's, which makes objects of ours when it is called; `cls` where FastAPI is not imported, or
        is us.
    """
    return _build_guise(cls) if "fastapi.routing" in sys.modules else cls


@cache
def _build_guise(cls: type) -> type:
    found = next(filter(None, map(_find_theirs, cls.__mro__)), cls)
    if issubclass(cls, found):
        return cls

    def make(_: type, *args: object, **options: object) -> object:
        return cls(*args, **options)

    # `dataclasses.replace` and its kin call it.
    return type(cls.__name__, (found,), {"__new__": make, "__module__": cls.__module__})


def _find_theirs(base: type) -> type | None:
    module, name = _THEIRS.get((base.__module__, base.__name__), ("", ""))
    return getattr(sys.modules.get(module), name, None)
