"""How much generated and counted tests do: little by default, everything with `VELITHON_TESTS=full`."""

import os

FULL = os.environ.get("VELITHON_TESTS") == "full"


def examples(few: int, many: int) -> int:
    """Return how many examples to generate."""
    return many if FULL else few
