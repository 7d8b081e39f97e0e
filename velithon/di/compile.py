"""How a provider becomes a function without arguments.

A provider and everything that it needs are known before the first request, so resolution is generated code: a factory
with two dependencies becomes ``factory(first(), second=second())`` and nothing is looked up, bound or inspected while
it runs. Singletons keep their object in a `Cell`; generated code reads the cell and calls only while it is empty.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

MISSING: Final = object()


class ProviderError(TypeError):
    """A provider cannot be used as it was declared: a cycle, a wrong argument, a missing provider, a wrong kind.

    The message names the path of providers that leads to the mistake.
    """


class Cell:
    """Where a singleton's object is kept.

    `owner` is who makes it at the moment, a thread's identifier or a task; `pending` is done when an asynchronous
    attempt has ended, whichever way.
    """

    __slots__ = ("lock", "owner", "pending", "value")

    def __init__(self, value: object = MISSING) -> None:
        self.value: Any = value
        self.lock = threading.RLock()
        self.owner: object = None
        self.pending: concurrent.futures.Future[None] | None = None


@dataclass(frozen=True, slots=True)
class Compiled(Generic[T]):
    """What a provider was compiled to.

    Attributes:
        is_async: Whether `call()` must be awaited.
        call: Makes or finds the object.
        cell: For a singleton, the cell that `call` fills; a reader may take `cell.value` when it is not `MISSING`.
        overrides: The overrides in force below this provider. A singleton keeps one object for each such set.
    """

    is_async: bool
    call: Callable[[], Any]
    cell: Cell | None = None
    overrides: frozenset[object] = frozenset()


def generate(
    name: str,
    factory: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    awaits: bool,
) -> tuple[bool, Callable[[], Any]]:
    """Generate the call of `factory`, with every `Compiled` among its arguments resolved in place.

    Args:
        name: Shown in tracebacks.
        factory: The class or function that makes the object.
        args: Positional arguments; a `Compiled` is replaced by what it makes.
        kwargs: The same by keyword.
        awaits: Whether the factory itself is asynchronous.

    Returns:
        Whether the generated function is asynchronous, and the function.
    """
    if not args and not kwargs:
        return awaits, factory
    namespace: dict[str, Any] = {"factory": factory, "MISSING": MISSING}
    parts = [_expression(value, namespace) for value in args]
    for keyword, value in kwargs.items():
        expression = _expression(value, namespace)
        plain = keyword.isidentifier() and not iskeyword(keyword)
        parts.append(f"{keyword}={expression}" if plain else f"**{{{keyword!r}: {expression}}}")
    is_async = awaits or any(isinstance(value, Compiled) and value.is_async for value in (*args, *kwargs.values()))
    source = (
        f"{'async ' if is_async else ''}def call():\n"
        f"    return {'await ' if awaits else ''}factory({', '.join(parts)})\n"
    )
    exec(compile(source, f"<provider {name}>", "exec"), namespace)
    return is_async, namespace["call"]


def _expression(value: object, namespace: dict[str, Any]) -> str:
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


def once(name: str, cell: Cell, make: Callable[[], T], settle: Callable[[Cell, T], Any]) -> Callable[[], Any]:
    """Make a synchronous singleton: one thread makes, the others wait for it; a failure is tried again."""

    def create() -> Any:
        with cell.lock:
            if cell.value is MISSING:
                if cell.owner is not None:
                    raise ProviderError(f"{name} asks for itself while it is being made")
                cell.owner = threading.get_ident()
                try:
                    cell.value = settle(cell, make())
                finally:
                    cell.owner = None
            return cell.value

    def call() -> Any:
        value = cell.value
        return create() if value is MISSING else value

    return call


def once_async(
    name: str, cell: Cell, make: Callable[[], Any], settle: Callable[[Cell, Any], Awaitable[Any]], *, awaits: bool
) -> Callable[[], Any]:
    """Make an asynchronous singleton: one task makes, tasks of any event loop wait for it.

    Whoever waited looks again: when the maker failed or was cancelled, the next in line makes it.
    """

    async def create() -> Any:
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
                    raise ProviderError(f"{name} asks for itself while it is being made")
            # Shielded: a waiter that is cancelled must not cancel what the others wait for.
            await asyncio.shield(asyncio.wrap_future(pending))
        try:
            made = make()
            cell.value = await settle(cell, await made if awaits else made)
            return cell.value
        finally:
            with cell.lock:
                cell.pending = cell.owner = None
            mine.set_result(None)

    async def call() -> Any:
        value = cell.value
        return await create() if value is MISSING else value

    return call
