"""When a job is due by itself: `cron("0 3 * * *")` or `every(minutes=5)`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["Schedule", "cron", "every"]


class Schedule(ABC):
    """When a job is due."""

    @abstractmethod
    def after(self, moment: datetime) -> datetime:
        """Return the first time after `moment` (aware) at which the job is due, in UTC."""


class _Every(Schedule):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def after(self, moment: datetime) -> datetime:
        """Return the next multiple of the interval since 1970: the same in every process, and after a restart."""
        count = math.floor(moment.timestamp() / self.seconds + 1e-9) + 1
        return datetime.fromtimestamp(count * self.seconds, UTC)

    def __repr__(self) -> str:
        return f"every(seconds={self.seconds:g})"


class _Cron(Schedule):
    def __init__(self, expression: str, timezone: str) -> None:
        self.expression = expression
        self.zone = ZoneInfo(timezone)

    def after(self, moment: datetime) -> datetime:
        """Return the next time that the expression names, on its zone's clock."""
        from cronsim import CronSim

        found: datetime = next(CronSim(self.expression, moment.astimezone(self.zone)))
        return found.astimezone(UTC)

    def __repr__(self) -> str:
        return f"cron({self.expression!r}, timezone={self.zone.key!r})"


def every(*, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> Schedule:
    """Return the schedule of a job that is due again and again: at multiples of the interval since 1970 (UTC).

    Raises:
        ValueError: The interval is not positive.
    """
    interval = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days).total_seconds()
    if interval <= 0:
        raise ValueError(f"every() needs an interval of more than 0 seconds, not {interval:g}.")
    return _Every(interval)


def cron(expression: str, *, timezone: str = "UTC") -> Schedule:
    """Return the schedule that a cron expression names.

    Args:
        expression: Five fields: minute, hour, day of the month, month, day of the week; such as `"30 8 * * MON-FRI"`.
            A sixth field before them is seconds.
        timezone: The zone whose clock counts, such as `"Europe/Berlin"`. An hour that a change of the clock leaves out
            is made up for after it.

    Raises:
        ValueError: The expression or the zone cannot be read.
        ImportError: The package cronsim is missing: `pip install "velithon[jobs]"`.
    """
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as error:  # pragma: no cover - the extra is installed where tests run
        raise ImportError('Cron expressions need the package cronsim: pip install "velithon[jobs]"') from error
    try:
        CronSim(expression, datetime.now(UTC))
    except CronSimError as error:
        raise ValueError(f"The cron expression {expression!r} cannot be read: {error}.") from error
    try:
        return _Cron(expression, timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"There is no time zone {timezone!r}; one is such as 'Europe/Berlin'.") from error
