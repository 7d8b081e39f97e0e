"""The plans of an endpoint, by the dependencies that are overridden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

Plan = TypeVar("Plan")
Overrides = dict[Callable[..., object], Callable[..., object]]


class PlanCache(Generic[Plan]):
    """Makes a plan for each set of overrides that a request meets, once.

    Args:
        make: Makes the plan for a set of overrides, which may be empty.
    """

    def __init__(self, make: Callable[[Overrides], Plan]) -> None:
        self._make = make
        # The overrides are kept beside the plan, so that the identities in the key stay theirs.
        self._plans: dict[tuple[tuple[int, int], ...], tuple[Plan, Overrides]] = {}

    def get(self, overrides: Mapping[Callable[..., object], Callable[..., object]]) -> Plan:
        """Return the plan for the overrides that are in force."""
        key = tuple((id(call), id(other)) for call, other in overrides.items())
        found = self._plans.get(key)
        if found is None:
            kept = dict(overrides)
            found = self._plans[key] = self._make(kept), kept
        return found[0]
