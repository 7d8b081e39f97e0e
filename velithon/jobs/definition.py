"""`@job`: makes a function a job, which a worker can run later.

The function can still be called as before.
"""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, ParamSpec, TypedDict, TypeVar, Unpack, overload

from velithon.jobs.call import JobCall
from velithon.jobs.message import DEFAULT_PRIORITY
from velithon.jobs.registry import get_running, register

if TYPE_CHECKING:
    from velithon._runtime.json_values import JSONObject
    from velithon.jobs.schedule import Schedule
    from velithon.jobs.state import JobHandle

__all__ = ["Job", "JobOptions", "job"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

_LONGEST_BACKOFF = 3600.0


class JobOptions(TypedDict, total=False):
    """How a job is done.

    Attributes:
        delay: Seconds until it may begin.
        retries: How often it is tried again after it failed; 0 by default.
        backoff: Seconds before the second attempt, twice as many before each further one (an hour at most), and up to
            a half less at random; or a function of the attempt that failed (1, 2, ...). 1 by default.
        timeout: Seconds that one attempt may take. A `def` function cannot be stopped: it counts as failed when it
            ends too late.
        unique: Whether there may be only one such job that waits or runs: with these arguments (`True`), or with this
            key (text, or a function of the arguments that returns it). Whoever asks for another gets that one's handle.
        priority: 0 to 9, the highest first; 5 by default.
    """

    delay: float
    retries: int
    backoff: float | Callable[[int], float]
    timeout: float | None
    unique: bool | str | Callable[..., str]
    priority: int


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a job, checked."""

    delay: float = 0.0
    retries: int = 0
    backoff: float | Callable[[int], float] = 1.0
    timeout: float | None = None
    unique: bool | str | Callable[..., str] = False
    priority: int = DEFAULT_PRIORITY

    def __post_init__(self) -> None:
        if not 0 <= self.priority <= 9 or self.priority != int(self.priority):
            raise ValueError(f"priority is a whole number from 0 to 9, not {self.priority!r}.")
        if self.retries < 0:
            raise ValueError(f"retries is how often a job is tried again, not {self.retries!r}.")
        if self.delay < 0:
            raise ValueError(f"delay is a number of seconds from now on, not {self.delay!r}.")
        if self.timeout is not None and self.timeout <= 0:
            raise ValueError(f"timeout is a number of seconds, more than 0, or None, not {self.timeout!r}.")
        if not callable(self.backoff) and self.backoff < 0:
            raise ValueError(f"backoff is a number of seconds or a function, not {self.backoff!r}.")


class Job(Generic[P, R_co]):
    """A function that can be called, as before, and asked for with `enqueue`.

    `@job` makes it.

    Attributes:
        name: What it is known by to all processes: its module and qualified name unless it was given another.
        schedule: When it is due by itself.
    """

    def __init__(
        self, function: Callable[P, R_co], name: str | None, schedule: Schedule | None, options: Options
    ) -> None:
        if not inspect.isfunction(function):
            raise TypeError(f"@job takes a function, not {function!r}.")
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self.function = function
        self.name = name or f"{function.__module__}.{function.__qualname__}"
        self.schedule = schedule
        self.settings = options
        self.call = JobCall(function)
        if schedule is not None:
            try:
                self.call.bind((), {})
            except TypeError as error:
                raise TypeError(f"The job {self.name} has a schedule, so it must need no arguments: {error}") from error
        register(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function here and now; parameters with `Provide` are resolved unless they are given."""
        return self.call.direct(*args, **kwargs)  # type: ignore[no-any-return]  # the call keeps no type of what its function returns

    def options(self, **options: Unpack[JobOptions]) -> Job[P, R_co]:
        """Return the same job with other options, for one `enqueue`; see `JobOptions`.

        Raises:
            TypeError: An option does not exist.
            ValueError: An option cannot have this value.
        """
        if callable(options.get("backoff")):
            raise TypeError("A function cannot travel with one job: give it to the decorator, @job(backoff=...).")
        twin: Job[P, R_co] = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.settings = _replace_options(self.settings, options)
        return twin

    async def enqueue(self, *args: object, **kwargs: object) -> JobHandle:
        """Ask for the job; return when it was accepted.

        Args:
            args: The function's arguments, without what is resolved where the job is done.
            kwargs: Likewise.

        Raises:
            TypeError: The arguments do not fit the function.
            JobsUnavailableError: It is not known whether the job was accepted.
            JobsFullError: The backend takes no more.
            JobsError: No application with jobs has started here.
        """
        return await get_running().enqueue(self, *args, **kwargs)

    def wait(self, attempt: int, backoff: float | None) -> float:
        """Return the seconds between a failed attempt and the next one.

        Args:
            attempt: The one that failed.
            backoff: What the message says.
        """
        if backoff is None:
            own = self.settings.backoff
            if callable(own):
                return max(0.0, own(attempt))
            backoff = own
        longest = min(_LONGEST_BACKOFF, backoff * 2.0 ** min(attempt - 1, 40))
        return longest * random.uniform(0.5, 1.0)

    def unique_key(self, arguments: JSONObject) -> str | None:
        """Return what no other such job may have, or `None`."""
        unique = self.settings.unique
        if unique is False:
            return None
        if unique is True:
            import hashlib

            import orjson

            digest = hashlib.sha256(orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS)).hexdigest()
            return f"{self.name}:{digest}"
        return f"{self.name}:{unique(**arguments) if callable(unique) else unique}"

    def __repr__(self) -> str:
        return f"<job {self.name}>"


@overload
def job(function: Callable[P, R_co], /) -> Job[P, R_co]: ...
@overload
def job(
    *, name: str | None = None, schedule: Schedule | None = None, **options: Unpack[JobOptions]
) -> Callable[[Callable[P, R_co]], Job[P, R_co]]: ...


def job(
    function: Callable[P, R_co] | None = None,
    /,
    *,
    name: str | None = None,
    schedule: Schedule | None = None,
    **options: Unpack[JobOptions],
) -> Job[P, R_co] | Callable[[Callable[P, R_co]], Job[P, R_co]]:
    """Make a function a job: `@job` or `@job(retries=3)`.

    Its parameters are arguments, which travel as JSON and are validated by their annotations; or they are resolved
    where the job is done: `Depends`, `Provide`, `JobContext`, the application.

    Args:
        function: `async def` or `def`; the latter is done in a thread.
        name: What all processes know it by.
        schedule: When it is due by itself: `cron(...)` or `every(...)`.
        options: See `JobOptions`.

    Raises:
        RegistrationError: A parameter can be nothing that a job has.
        ValueError: The name is taken, or an option cannot have this value.
    """
    settings = _replace_options(Options(), options)

    def decorate(function: Callable[P, R_co]) -> Job[P, R_co]:
        return Job(function, name, schedule, settings)

    return decorate if function is None else decorate(function)


def _replace_options(settings: Options, options: JobOptions) -> Options:
    unknown = options.keys() - JobOptions.__annotations__.keys()
    if unknown:
        known = ", ".join(JobOptions.__annotations__)
        raise TypeError(f"A job has no option {sorted(unknown)[0]!r}; the options are {known}.")
    return replace(settings, **options)
