"""Explains why JSON cannot carry what an endpoint returned.

The error says where in the result the trouble is, and what to do.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections import deque
from typing import TYPE_CHECKING

from pydantic import BaseModel

from velithon.encoders import json_bytes
from velithon.exceptions import ResultEncodingError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["describe_awaitable", "explain"]

# Of what is looked through; whatever lies deeper, or points back at itself, is named by the way to it.
_DEEPEST = 50


def explain(endpoint: object, result: object, error: Exception) -> ResultEncodingError:
    """Return an error with the endpoint, the place in its result, and the type there.

    Args:
        endpoint: What returned the result.
        result: What it returned.
        error: What the encoder raised.
    """
    name = f"{endpoint.__module__}.{getattr(endpoint, '__qualname__', type(endpoint).__qualname__)}"
    found = _find(result, "", _DEEPEST)
    if found is None:
        return ResultEncodingError(f"{name} returned what JSON cannot carry: {error}")
    place, problem = found
    return ResultEncodingError(f"{name} returned what JSON cannot carry{f', at {place}' if place else ''}: {problem}")


def describe_awaitable(value: object) -> str | None:
    """Return what to say of a coroutine that stands where data should.

    `None` for anything else.
    """
    if not inspect.isawaitable(value):
        return None
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{name}(), a coroutine that nobody awaited: write `await` before the call."


def _find(value: object, place: str, depth: int) -> tuple[str, str] | None:
    """Return the place of the first value without a JSON form, and what it is."""
    if value is None or isinstance(value, str | int):
        return None
    if depth == 0:
        return f"{place:.60}...", "what is nested too deeply, or holds itself."
    if (awaitable := describe_awaitable(value)) is not None:
        return place, awaitable
    if isinstance(value, float) and not math.isfinite(value):
        return place, f"the number {value}, which JSON does not have."
    for step, inner in _iterate_parts(value):
        if (found := _find(inner, place + step, depth - 1)) is not None:
            return found
    try:
        json_bytes(value)
    except Exception:  # noqa: BLE001 - whatever its encoder, or a property of its own, raises
        if isinstance(value, dict):
            return place, "a dict with keys that are no text."
        kind = type(value)
        return place, (
            f"an object of {kind.__module__}.{kind.__qualname__}. "
            "Return a dict, a dataclass or a pydantic model made from it."
        )
    return None


def _iterate_parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r:.100}]", inner) for key, inner in value.items())
    elif isinstance(value, list | tuple | deque):
        yield from ((f"[{index}]", inner) for index, inner in enumerate(value))
    elif isinstance(value, BaseModel):
        yield from ((f".{name}", inner) for name, inner in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{field.name}", getattr(value, field.name, None)) for field in dataclasses.fields(value))
