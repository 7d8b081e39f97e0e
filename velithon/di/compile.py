"""How a provider becomes a function without arguments.

A provider and everything that it needs are known before the first request, so resolution is generated code: a factory
with two dependencies becomes ``factory(first(), second())``, a chain of factories one expression, and nothing is looked
up, bound or inspected while it runs. Singletons keep their object in a `Cell`; generated code reads the cell and calls
only while it is empty.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from keyword import iskeyword
from typing import Any, Final, Generic, TypeVar

from velithon._runtime.generated import compile_function

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MISSING: Final = object()
# Calls in one expression, at most: Python's parser takes only so many parentheses, and what several factories share is
# written once for each of them.
_LONGEST = 32


class ProviderError(TypeError):
    """A provider cannot be used as it was declared.

    There is a cycle, a wrong argument, a missing provider, or a wrong kind.

    The message names the path of providers that leads to the mistake.
    """


class Cell:
    """Where a singleton's object is kept.

    `owner` is who makes it at the moment, a thread's identifier or a task; `pending` is done when an asynchronous
    attempt has ended, whichever way.
    """

    __slots__ = ("lock", "owner", "pending", "value")

    def __init__(self, value: object = MISSING) -> None:
        self.value: object = value
        self.lock = threading.RLock()
        self.owner: object = None
        self.pending: concurrent.futures.Future[None] | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """The call of a factory; each argument to be resolved is a `Compiled`.

    Attributes:
        factory: The class or function that makes the object.
        args: Positional arguments.
        kwargs: The same by keyword.
        awaits: Whether the factory itself is asynchronous.
    """

    factory: Callable[..., object]
    args: Sequence[object]
    kwargs: Mapping[str, object]
    awaits: bool

    @property
    def is_async(self) -> bool:
        """Whether the call, or the resolving of an argument, must be awaited."""
        values = (*self.args, *self.kwargs.values())
        return self.awaits or any(isinstance(value, Compiled) and value.is_async for value in values)

    @property
    def size(self) -> int:
        """How many factories the expression calls."""
        values = (*self.args, *self.kwargs.values())
        return 1 + sum(
            value.recipe.size for value in values if isinstance(value, Compiled) and value.recipe is not None
        )

    @property
    def within(self) -> Recipe | None:
        """The recipe itself, where it is short enough to become part of another's expression."""
        return self if self.size < _LONGEST else None

    def write_expression(self, namespace: dict[str, object]) -> str:
        """Return the call as an expression; what it names is added to `namespace`."""
        label = f"factory{len(namespace)}"
        namespace[label] = self.factory
        parts = [_write_expression(value, namespace) for value in self.args]
        by_position = _count_by_position(self.factory, len(self.args), self.kwargs)
        for index, (keyword, value) in enumerate(self.kwargs.items()):
            expression = _write_expression(value, namespace)
            if index < by_position:
                parts.append(expression)
            else:
                plain = keyword.isidentifier() and not iskeyword(keyword)
                parts.append(f"{keyword}={expression}" if plain else f"**{{{keyword!r}: {expression}}}")
        return f"{'await ' if self.awaits else ''}{label}({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Compiled(Generic[T_co]):
    """What a provider was compiled to.

    Attributes:
        is_async: Whether `call()` must be awaited.
        call: Makes or finds the object.
        cell: For a singleton, the cell that `call` fills; a reader may take `cell.value` when it is not `MISSING`.
        overrides: The overrides in force below this provider. A singleton keeps one object for each such set.
        recipe: What `call` does, where that is one short expression.
    """

    is_async: bool
    call: Callable[[], Any]
    cell: Cell | None = None
    overrides: frozenset[object] = frozenset()
    recipe: Recipe | None = None


def generate(name: str, recipe: Recipe) -> Callable[[], object]:
    """Generate the function that follows a recipe; it is asynchronous where the recipe is.

    Args:
        name: Shown in tracebacks.
        recipe: The call and its arguments.
    """
    if not recipe.args and not recipe.kwargs:
        return recipe.factory
    namespace: dict[str, object] = {"MISSING": MISSING}
    source = f"{'async ' if recipe.is_async else ''}def call():\n    return {recipe.write_expression(namespace)}\n"
    return compile_function(f"provider {name}", source, "call", namespace)


def _count_by_position(factory: Callable[..., object], given: int, kwargs: Mapping[str, object]) -> int:
    """Count the keywords, from the first, that may be passed by position, which is faster.

    A class takes two thirds of the time. They may be only where nothing stands between the call and the function whose
    parameters they are, and where both have the same order, in which the arguments are made.
    """
    function: Any = factory
    kind: type = type(factory)
    if kind is type and function.__new__ is object.__new__ and not hasattr(function, "__signature__"):
        function, given = function.__init__, given + 1
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__") or hasattr(function, "__signature__"):
        return 0
    code = function.__code__
    if given < code.co_posonlyargcount:
        # A keyword may have the name of such a parameter and yet be one of `**kwargs`.
        return 0
    names = code.co_varnames[given : code.co_argcount]
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(names, kwargs, strict=False)))


def _write_expression(value: object, namespace: dict[str, object]) -> str:
    if isinstance(value, Compiled) and value.recipe is not None:
        return f"({value.recipe.write_expression(namespace)})"
    label = f"x{len(namespace)}"
    if not isinstance(value, Compiled):
        namespace[label] = value
        return label
    namespace[label] = value.call
    call = f"{'await ' if value.is_async else ''}{label}()"
    if value.cell is None:
        return call
    namespace[f"{label}_cell"] = value.cell
    return f"({label}_value if ({label}_value := {label}_cell.value) is not MISSING else {call})"


def compile_singleton(
    name: str, cell: Cell, make: Callable[[], T], keep: Callable[[Cell, T], object]
) -> Callable[[], object]:
    """Make a synchronous singleton: one thread makes, the others wait for it.

    A failure is tried again.
    """

    def create() -> object:
        with cell.lock:
            if cell.value is MISSING:
                if cell.owner is not None:
                    raise ProviderError(f"{name} asks for itself while it is being made.")
                cell.owner = threading.get_ident()
                try:
                    cell.value = keep(cell, make())
                finally:
                    cell.owner = None
            return cell.value

    def call() -> object:
        value = cell.value
        return create() if value is MISSING else value

    return call


def compile_async_singleton(
    name: str, cell: Cell, make: Callable[[], Any], keep: Callable[[Cell, object], Awaitable[object]], *, awaits: bool
) -> Callable[[], Awaitable[object]]:
    """Make an asynchronous singleton: one task makes, tasks of any event loop wait for it.

    Whoever waited looks again: when the maker failed or was cancelled, the next in line makes it.
    """

    async def create() -> object:
        task = asyncio.current_task()
        while True:
            with cell.lock:
                if cell.value is not MISSING:
                    return cell.value
                pending = cell.pending
                if pending is None:
                    mine = cell.pending = concurrent.futures.Future()
                    cell.owner = task
                    break
                if cell.owner is task:
                    raise ProviderError(f"{name} asks for itself while it is being made.")
            # Shielded: a waiter that is cancelled must not cancel what the others wait for.
            await asyncio.shield(asyncio.wrap_future(pending))
        try:
            made = make()
            cell.value = await keep(cell, await made if awaits else made)
            return cell.value
        finally:
            with cell.lock:
                cell.pending = cell.owner = None
            mine.set_result(None)

    async def call() -> object:
        value = cell.value
        return await create() if value is MISSING else value

    return call
