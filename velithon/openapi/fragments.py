"""Fragments of a document: merging two, and the examples of a parameter or a body."""

from __future__ import annotations

from typing import Any

from velithon._runtime.json_values import JSONObject
from velithon.encoders import jsonable_encoder

__all__ = ["add_examples", "merge"]


def add_examples(target: JSONObject, info: object) -> None:
    """Add a parameter's or a body's examples, the named ones before the single one."""
    from pydantic_core import PydanticUndefined

    named = getattr(info, "openapi_examples", None)
    single = getattr(info, "example", PydanticUndefined)
    if named:
        target["examples"] = jsonable_encoder(named)
    elif single is not PydanticUndefined:
        target["example"] = jsonable_encoder(single)


def merge(target: dict[Any, Any], update: dict[Any, Any]) -> None:
    """Update in depth: mappings are merged, lists are joined, anything else is replaced."""
    for key, value in update.items():
        present = target.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            merge(present, value)
        elif isinstance(present, list) and isinstance(value, list):
            target[key] = present + value
        else:
            target[key] = value
