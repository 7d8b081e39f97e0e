"""FastAPI's `route.dependant`, for packages that guard routes which exist already by adding to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velithon.exceptions import RegistrationError
from velithon.params import Depends, Security
from velithon.routing.lists import WatchedList
from velithon.signature import read_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from velithon.signature import DependencyModel

__all__ = ["Dependant", "get_parameterless_sub_dependant"]


class Dependant:
    """What a route's signature says, by FastAPI's name.

    All but its `dependencies` is that of `route.model`.

    Args:
        route: A route, or a WebSocket route, with a signature.
    """

    def __init__(self, route: Any) -> None:
        self._route = route

    def __getattr__(self, name: str) -> Any:
        model = self._route.model
        if not hasattr(model, name):
            raise AttributeError(
                f"route.dependant of {self._route.path!r} has no {name!r}, which is internal to FastAPI. Instead of "
                "FastAPI's own get_openapi() use app.openapi() or velithon.openapi.utils.get_openapi(), or run the "
                "application with --as-fastapi"
            )
        return getattr(model, name)

    @property
    def dependencies(self) -> list[DependencyModel | Depends]:
        """What the endpoint depends on.

        What is added to it becomes one of the route's own dependencies.
        """
        model = self._route.model
        found: WatchedList[DependencyModel | Depends] = WatchedList(
            () if model is None else model.dependencies, lambda: self._adopt_dependencies(found)
        )
        return found

    @dependencies.setter
    def dependencies(self, dependencies: Iterable[object]) -> None:
        self._adopt_dependencies(list(dependencies))

    def _adopt_dependencies(self, dependencies: Iterable[object]) -> None:
        model = self._route.model
        present = [] if model is None else model.dependencies
        if any(not any(item is one for one in dependencies) for item in present):
            problem = "a dependency of a route cannot be taken out of route.dependant: route.dependencies is the list"
            raise RegistrationError(problem, endpoint=self._route.endpoint)
        added = [_find_marker(item) for item in dependencies if not any(item is one for one in present)]
        own = list(self._route.dependencies)
        # Who adds to both lists means one.
        self._route.dependencies[:0] = [item for item in added if not any(_is_same(item, one) for one in own)]


def get_parameterless_sub_dependant(*, depends: Depends, path: str) -> DependencyModel:
    """Read a dependency whose value nobody takes.

    Args:
        depends: `Depends(...)` or `Security(...)`.
        path: The path template of the route.
    """
    (found,) = read_endpoint(_do_nothing, path=path, dependencies=[depends]).dependencies
    vars(found)["depends"] = depends
    return found


def _do_nothing() -> None: ...


def _is_same(one: Depends, other: Depends) -> bool:
    scopes = [list(getattr(item, "scopes", None) or ()) for item in (one, other)]
    return one.dependency is other.dependency and scopes[0] == scopes[1]


def _find_marker(item: Any) -> Depends:
    """Return the marker that a dependency was read from.

    It was read by `get_parameterless_sub_dependant`, or is FastAPI's `Dependant`.
    """
    known: Depends | None = getattr(item, "depends", None)
    if known is not None:
        return known
    if type(item).__name__ != "Dependant" or not callable(getattr(item, "call", None)):
        raise RegistrationError(
            f"route.dependant.dependencies takes what get_parameterless_sub_dependant() makes, not {item!r}: add "
            "Depends(...) to route.dependencies"
        )
    scopes = getattr(item, "own_oauth_scopes", None)
    common = {"dependency": item.call, "use_cache": item.use_cache, "scope": getattr(item, "scope", None)}
    return Security(**common, scopes=tuple(scopes)) if scopes else Depends(**common)
