"""Background tasks, collections of them, and what a shutdown waits for.

A task that a response, an application or a parameter owns is *attached*: nobody is left whom its failure could reach,
so it is logged with the task's name. A task that somebody awaits is not: its failure is raised to them. A task that is
neither attached nor run warns when it is dropped, as a coroutine does that nobody awaited.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, overload

from starlette.background import BackgroundTask as StarletteBackgroundTask
from starlette.background import BackgroundTasks as StarletteBackgroundTasks

from velithon.concurrency import run_in_threadpool
from velithon.exceptions import as_exception

if TYPE_CHECKING:
    from starlette.responses import Response as StarletteResponse
    from starlette.types import Scope

__all__ = [
    "ASIDE",
    "BackgroundTask",
    "BackgroundTasks",
    "InFlight",
    "assign_owner",
    "failure_observers",
    "injected_tasks",
    "run_background",
    "set_aside",
    "task_name",
    "with_set_aside",
]

P = ParamSpec("P")

logger = logging.getLogger("velithon.background")

_STARLETTES_CALL = StarletteBackgroundTask.__call__

ASIDE = "velithon.background"
"""In a request's scope: the background tasks of responses that went through layers; see `set_aside`."""


def task_name(task: StarletteBackgroundTask) -> str:
    """Return the name under which a task is logged.

    It is its function's, or those of what a collection has not finished.
    """
    if isinstance(task, StarletteBackgroundTasks):
        waiting = task.unfinished() if isinstance(task, BackgroundTasks) else task.tasks
        return ", ".join(map(task_name, waiting)) or "no tasks"
    function = getattr(task, "func", task)
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", None) or repr(function)


failure_observers: list[Callable[[StarletteBackgroundTask, Exception], None]] = []
"""Called with every attached task that failed and what it raised; `velithon.metrics` counts them."""


def _log_failure(task: StarletteBackgroundTask, error: Exception) -> None:
    logger.error("Background task %s failed: %r", task_name(task), error, exc_info=error)
    for observe in failure_observers:
        observe(task, error)


class BackgroundTask(StarletteBackgroundTask):
    """A function with its arguments, called after the response.

    Awaiting the task runs it; an ``async def`` function in the event loop, any other in a thread.

    The arguments are given as in a call, or as the two keywords ``args=`` (a tuple or list) and ``kwargs=`` (a
    dictionary). The keywords have that meaning when nothing else is given and the function has no parameters with these
    names; a function that has them gets them as they are.

    Args:
        func: The function.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.

    Raises:
        TypeError: `func` cannot be called.
    """

    _unclaimed = False
    _attached = False

    @overload
    def __init__(
        self, func: Callable[..., object], *, args: Sequence[object], kwargs: Mapping[str, object] | None = None
    ) -> None: ...
    @overload
    def __init__(self, func: Callable[..., object], *, kwargs: Mapping[str, object]) -> None: ...
    @overload
    def __init__(self, func: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None: ...

    def __init__(self, func: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        if not callable(func):
            raise TypeError(f"A background task calls a function, and {func!r} cannot be called.")
        if kwargs and not args and _is_packed(func, kwargs):
            args, kwargs = tuple(kwargs.get("args", ())), kwargs.get("kwargs") or {}
        super().__init__(func, *args, **kwargs)
        self._unclaimed = True

    def attach(self) -> Self:
        """Take the task over, as a response does that will run it.

        From now on its failure is logged.
        """
        self._unclaimed = False
        self._attached = True
        return self

    async def __call__(self) -> None:
        """Run the function.

        Raises:
            Exception: What the function raised, unless the task is attached: then it is logged.
        """
        self._unclaimed = False
        try:
            if StarletteBackgroundTask.__call__ is not _STARLETTES_CALL:
                # What instruments tasks replaces it.
                await super().__call__()
            elif self.is_async:
                await self.func(*self.args, **self.kwargs)
            else:
                await run_in_threadpool(self.func, *self.args, **self.kwargs)
        except Exception as error:
            if not self._attached:
                raise
            _log_failure(self, error)

    def __del__(self) -> None:
        if self._unclaimed:
            _warn_never_run(self)


class BackgroundTasks(StarletteBackgroundTasks):
    """Several tasks, started in the order in which they were added.

    Args:
        tasks: The first tasks. They belong to the collection from here on.
        max_concurrent: How many run at once at most. 1 runs them one after the other.

    Attributes:
        tasks: All tasks, those that were run too.
        max_concurrent: How many run at once at most.

    Raises:
        ValueError: `max_concurrent` is less than 1.
    """

    _unclaimed = False
    # Given each task, returns what its run stands in; set by whoever traces them.
    _around: Callable[[StarletteBackgroundTask], AbstractContextManager[None]] | None = None

    def __init__(self, tasks: Sequence[StarletteBackgroundTask] | None = None, max_concurrent: int = 10) -> None:
        if max_concurrent < 1:
            raise ValueError(
                f"max_concurrent is the number of tasks that run at once, at least 1, not {max_concurrent!r}"
            )
        super().__init__(tasks)
        for task in self.tasks:
            assign_owner(task)
        self.max_concurrent = max_concurrent
        self._taken = 0
        self._unfinished: dict[int, StarletteBackgroundTask] = {}
        self._unclaimed = True

    def add_task(self, func: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Add a function with its arguments, as `BackgroundTask` takes them.

        Args:
            func: The function.
            *args: Its positional arguments.
            **kwargs: Its keyword arguments.
        """
        task = BackgroundTask(func, *args, **kwargs)
        task._unclaimed = False
        self.tasks.append(task)

    def attach(self) -> Self:
        """Take the tasks over, as a response does that will run them."""
        self._unclaimed = False
        return self

    def unfinished(self) -> list[StarletteBackgroundTask]:
        """Return the tasks that have not ended.

        They are those of a run that goes on, and those that were added and never run.
        """
        return [*self._unfinished.values(), *self.tasks[self._taken :]]

    async def __call__(self, continue_on_error: bool = True) -> None:
        """Run the tasks that were not run before and those that they add.

        Return when all have ended.

        Args:
            continue_on_error: Whether the others go on when one fails; each failure is logged. Otherwise the first
                failure cancels what runs, and nothing more is started. A function that is already in a thread runs to
                its end.

        Raises:
            RuntimeError: A task failed and `continue_on_error` is false. The failure is its cause.
        """
        self._unclaimed = False
        late = [task for task in self.tasks[: self._taken] if has_late_tasks(task)]
        tasks = [*late, *self._take()]
        while tasks:
            await self._run(tasks, continue_on_error)
            # What these have added.
            tasks = self._take()

    def _take(self) -> list[StarletteBackgroundTask]:
        """Return the tasks that were not run before, to run them now."""
        tasks = self.tasks[self._taken :]
        self._taken = len(self.tasks)
        return tasks

    async def _run(self, tasks: list[StarletteBackgroundTask], continue_on_error: bool) -> None:
        self._unfinished = {id(task): task for task in tasks}
        run = _Run(iter(tasks), self._unfinished, continue_on_error, self._around)
        try:
            if len(tasks) == 1 or self.max_concurrent == 1:
                await run.work()
            else:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(len(tasks), self.max_concurrent)):
                        group.create_task(run.work())
        except* _Failed:
            pass
        finally:
            self._unfinished = {}
        if run.failure is not None:
            task, error = run.failure
            raise RuntimeError(f"Background task {task_name(task)} failed: {error!r}") from error

    def __del__(self) -> None:
        if self._unclaimed and self.tasks:
            _warn_never_run(self)


class _Failed(Exception):
    """Ends a run whose first failure was kept aside."""


class _Run:
    """One run over a collection: workers that take the next task from the same iterator."""

    def __init__(
        self,
        tasks: Iterator[StarletteBackgroundTask],
        unfinished: dict[int, StarletteBackgroundTask],
        go_on: bool,
        around: Callable[[StarletteBackgroundTask], AbstractContextManager[None]] | None,
    ) -> None:
        self._tasks = tasks
        self._unfinished = unfinished
        self._go_on = go_on
        self._around = around
        self.failure: tuple[StarletteBackgroundTask, Exception] | None = None

    async def work(self) -> None:
        for task in self._tasks:
            try:
                if self._around is None:
                    await task()
                else:
                    with self._around(task):
                        await task()
            except Exception as error:
                if self._go_on:
                    _log_failure(task, error)
                    continue
                if self.failure is None:
                    self.failure = task, error
                raise _Failed from error
            finally:
                self._unfinished.pop(id(task), None)  # absent when the same task was added twice


class InFlight:
    """The background work that an application still has to finish."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], StarletteBackgroundTask] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def count(self) -> tuple[int, int]:
        """Return how many tasks run, and how many wait for those of their collection."""
        running = queued = 0
        for background in self._tasks.values():
            left = len(background.unfinished()) if isinstance(background, BackgroundTasks) else 1
            at_once = min(left, background.max_concurrent) if isinstance(background, BackgroundTasks) else 1
            running += at_once
            queued += left - at_once
        return running, queued

    async def run(self, background: StarletteBackgroundTask) -> None:
        """Run background work and wait for it, in a task of its own.

        Who cancels the caller, a middleware or a server whose client has left, does not cancel the work. A failure is
        logged.
        """
        if isinstance(background, StarletteBackgroundTasks) and not background.tasks:
            assign_owner(background)
            return
        task = asyncio.get_running_loop().create_task(run_background(background))
        self._tasks[task] = background
        task.add_done_callback(self._tasks.pop)
        await asyncio.shield(task)

    async def drain(self, grace: float | None = None) -> list[str]:
        """Wait for the work to end, also for what is added meanwhile.

        Then cancel what has not ended.

        Args:
            grace: How long to wait, in seconds; `None` waits as long as it takes.

        Returns:
            The names of the tasks that were abandoned. They are logged, too. A function in a thread cannot be stopped;
            it goes on until it ends or the process does.
        """
        loop = asyncio.get_running_loop()
        end = None if grace is None else loop.time() + grace
        while self._tasks:
            left = None if end is None else end - loop.time()
            if left is not None and left <= 0:
                break
            await asyncio.wait(list(self._tasks), timeout=left)
        abandoned = [name for background in self._tasks.values() for name in _list_names(background)]
        for name in abandoned:
            logger.error("Background task %s was abandoned: it did not end within %s seconds", name, grace)
        for task in list(self._tasks):
            task.cancel()
        # One turn of the loop, in which the cancelled tasks clean up as far as they can without waiting.
        await asyncio.sleep(0)
        return abandoned


async def run_background(background: StarletteBackgroundTask) -> None:
    """Run a response's background work.

    A failure is logged with the task's name and never raised.
    """
    assign_owner(background)
    try:
        await background()
    except BaseException as raised:
        error = as_exception(raised)
        if not isinstance(error, Exception):
            raise
        _log_failure(background, error)


def injected_tasks() -> BackgroundTasks:
    """The collection that a parameter annotated with `BackgroundTasks` gets.

    It runs one task after the other, as FastAPI's does: a later one may rely on an earlier one. An endpoint that wants
    more at once sets its `max_concurrent`.
    """
    return BackgroundTasks(max_concurrent=1).attach()


def has_late_tasks(background: StarletteBackgroundTask) -> bool:
    """Tell whether tasks were added after the others had run.

    The exits of dependencies may do that.
    """
    return isinstance(background, BackgroundTasks) and (
        background._taken < len(background.tasks) or any(map(has_late_tasks, background.tasks))
    )


def set_aside(scope: Scope, response: StarletteResponse) -> None:
    """Keep a response's background task for whoever sends the answer.

    So it runs whatever a layer makes of the response. The layer sees a response without one, as on Starlette: what it
    gives the response runs after what is kept here.
    """
    scope.setdefault(ASIDE, []).append(response.background)
    response.background = None


def with_set_aside(
    scope: Scope, background: StarletteBackgroundTask | None, response: object = None
) -> StarletteBackgroundTask | None:
    """Join what was set aside and a response's own task.

    They run one after the other. What `response` waits for as it is sent, its `awaits`, is left out.
    `None` for nothing.
    """
    awaited = getattr(response, "awaits", None)
    tasks = [task for task in scope.pop(ASIDE, ()) if task is not awaited]
    if background is not None:
        tasks.append(background)
    return BackgroundTasks(tasks, max_concurrent=1).attach() if len(tasks) > 1 else next(iter(tasks), None)


def assign_owner(task: StarletteBackgroundTask) -> None:
    """Let a task have an owner.

    It does not warn when it is dropped without having run.

    Every response does this with its background task.
    """
    if isinstance(task, BackgroundTask | BackgroundTasks):
        task._unclaimed = False


def _list_names(background: StarletteBackgroundTask) -> Iterable[str]:
    if isinstance(background, BackgroundTasks):
        return [name for task in background.unfinished() for name in _list_names(task)]
    return [task_name(background)]


def _is_packed(func: Callable[..., object], given: Mapping[str, object]) -> bool:
    """Whether the keywords are `args=` and `kwargs=` that hold the arguments."""
    if not given.keys() <= {"args", "kwargs"}:
        return False
    if not isinstance(given.get("args", ()), tuple | list) or not isinstance(given.get("kwargs") or {}, dict):
        return False
    try:
        parameters = inspect.signature(func).parameters.values()
    except ValueError:  # some C functions have no signature to read
        return True
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return not any(parameter.name in given and parameter.kind not in variadic for parameter in parameters)


def _warn_never_run(task: BackgroundTask | BackgroundTasks) -> None:
    what = "tasks" if isinstance(task, BackgroundTasks) else "task"
    warnings.warn(
        f"background {what} {task_name(task)} never ran: await it, or give it to a response as background=",
        RuntimeWarning,
        stacklevel=3,
        source=task,
    )
