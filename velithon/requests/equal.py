"""Classes of connections that equal Starlette's: containers of dependencies look them up by the annotation."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

__all__ = ["EqualToStarlettes"]


class EqualToStarlettes(ABCMeta):
    """A class that is found under Starlette's class of the same name, which it stands for; its subclasses are not.

    A package that provides `starlette.requests.Request` provides what `velithon.Request` asks for.
    """

    _stands_for: type | None

    def __eq__(cls, other: Any) -> bool:
        return cls is other or (other is not None and cls.__dict__.get("_stands_for") is other)

    def __hash__(cls) -> int:
        return hash(cls.__dict__.get("_stands_for")) if "_stands_for" in cls.__dict__ else type.__hash__(cls)
