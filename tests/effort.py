"""How much tests do that generate, count or start servers: little by default, everything with `VELITHON_TESTS=full`."""

import os
from typing import TypeVar

T = TypeVar("T")

FULL = os.environ.get("VELITHON_TESTS") == "full"


def variants(few: T, many: T) -> T:
    """Return the parameters of a test whose every variant starts servers: together the few meet each server."""
    return many if FULL else few


def examples(few: int, many: int) -> int:
    """Return how many examples to generate."""
    return many if FULL else few
