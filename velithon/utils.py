"""The namesake of `fastapi.utils`: what packages around FastAPI take from there."""

from __future__ import annotations

from typing import Any

from velithon.datastructures import DefaultPlaceholder
from velithon.exception_handlers import is_body_allowed_for_status_code
from velithon.openapi.fragments import merge as deep_dict_update
from velithon.routing.routes import generate_unique_id
from velithon.signature.path import list_path_names

__all__ = [
    "deep_dict_update",
    "generate_unique_id",
    "get_path_param_names",
    "get_value_or_default",
    "is_body_allowed_for_status_code",
]


def get_path_param_names(path: str) -> set[str]:
    """Return the names of a path template's parameters."""
    return list_path_names(path)


def get_value_or_default(first: object, *others: object) -> Any:
    """Return the first that somebody chose, or the first default when nobody chose any.

    Args:
        first: A value, or a default made by `velithon.datastructures.Default`.
        others: More of them, each deciding less than the one before.
    """
    for item in (first, *others):
        if not isinstance(item, DefaultPlaceholder):
            return item
    return first
