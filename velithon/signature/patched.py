"""FastAPI's inner functions that an instrument has replaced, which plans then call.

logfire replaces `solve_dependencies` and `run_endpoint_function`, to show arguments and errors on spans.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from velithon.signature.fields import Errors

__all__ = ["PatchedFunctions", "SolvedArguments", "find_patched_functions"]

PatchedFunctions = tuple[Callable[..., object], Callable[..., object]]


@dataclass
class SolvedArguments:
    """The arguments of an endpoint, or why there are none.

    Attributes:
        values: By name; empty where there are errors.
        errors: What was refused.
        body: What was received, where there are errors.
    """

    values: dict[str, object]
    errors: Errors
    body: object = None


def find_patched_functions() -> PatchedFunctions | None:
    """Return what stands in `velithon.routing` for solving and for calling; `None` where both are ours."""
    names = vars(sys.modules["velithon.routing"])
    if "solve_dependencies" not in names and "run_endpoint_function" not in names:
        return None
    from velithon.compat import internals

    solve = names.get("solve_dependencies", internals.solve_dependencies)
    run = names.get("run_endpoint_function", internals.run_endpoint_function)
    ours = solve is internals.solve_dependencies and run is internals.run_endpoint_function
    return None if ours else (solve, run)
