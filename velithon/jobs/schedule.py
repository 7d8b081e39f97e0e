"""When a job is due by itself: `cron("0 3 * * *")` or `every(minutes=5)`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["Schedule", "cron", "every"]


class Schedule(ABC):
    """When a job is due."""

    @abstractmethod
    def after(self, moment: datetime) -> datetime:
        """Return the first time after `moment` (aware) at which the job is due, in UTC."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST = timedelta(seconds=0.1)


class _Every(Schedule):
    def __init__(self, interval: timedelta) -> None:
        self.interval = interval

    def after(self, moment: datetime) -> datetime:
        """Return the next multiple of the interval since 1970: the same in every process, and after a restart."""
        # In whole microseconds: of numbers with a fraction, the next multiple could be the moment itself.
        return _EPOCH + ((moment - _EPOCH) // self.interval + 1) * self.interval

    def __repr__(self) -> str:
        return f"every(seconds={self.interval.total_seconds():g})"


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
    """Return a schedule with a fixed interval.

    A job is due at multiples of the interval since 1970 (UTC).

    Raises:
        ValueError: The interval is shorter than 0.1 seconds.
    """
    interval = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
    if interval < _SHORTEST:
        raise ValueError(f"every() needs an interval of at least 0.1 seconds, not {interval.total_seconds():g}.")
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
