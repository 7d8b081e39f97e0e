"""Which name of Velithon's stands for one of FastAPI's."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from functools import cache
from types import ModuleType

__all__ = ["translate_module", "translate_name"]

_ELSEWHERE = {
    "fastapi.cli": "velithon.cli",
    "fastapi.dependencies.models": "velithon.compat.dependant",
    "fastapi.dependencies.utils": "velithon.compat.dependencies",
}
_RENAMED = {"FastAPI": "Velithon"}


@cache
def translate_module(name: str) -> ModuleType | None:
    """Return our module for one of FastAPI's, by its full name.

    None where there is none.
    """
    if "._" in name:
        return None
    ours = _ELSEWHERE.get(name, "velithon" + name.removeprefix("fastapi"))
    try:
        return importlib.import_module(ours)
    except ModuleNotFoundError:
        return None


def translate_name(module: str, name: str) -> str | None:
    """Return our name for one of FastAPI's, in our module; None where there is none."""
    ours = translate_module(module)
    if ours is None:
        return None
    renamed = _RENAMED.get(name, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are deprecated there as here
        if hasattr(ours, renamed) or translate_module(f"{module}.{name}") is not None:
            return renamed
    return None
