"""How much faster one peer is than another, and whether their turns tell the two apart at all."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Ratio", "ratio"]

_RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """A ratio of speeds with its 95 % interval.

    Args:
        value: The median of the turns' ratios; over 1 is faster.
        low: The lower end.
        high: The upper end.
    """

    value: float
    low: float
    high: float

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 1 out."""
        return not self.low <= 1 <= self.high

    def __str__(self) -> str:
        mark = "" if self.told_apart else "≈"
        return f"{mark}{self.value:.2f} ({self.low:.2f}-{self.high:.2f})"


def ratio(base: Sequence[float], other: Sequence[float]) -> Ratio:
    """Compare what two peers took in turns that followed each other.

    Turns of one round ran within seconds, so that what else the machine did was much the same for both: their ratio is
    what is looked at, not the ratio of medians. The interval is a bootstrap's, over whole rounds.

    Args:
        base: The seconds that the one took for a request, a round each.
        other: Those of the other, of the same rounds.
    """
    ratios = [one / two for one, two in zip(base, other, strict=False) if two]
    if len(ratios) < 2:
        only = ratios[0] if ratios else 1.0
        return Ratio(only, 0.0, float("inf"))
    chance = random.Random(7)
    medians = sorted(statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES))
    return Ratio(statistics.median(ratios), medians[_RESAMPLES // 40], medians[-_RESAMPLES // 40 - 1])
