"""Threads for what blocks: sync endpoints, sync dependencies, sync iterators.

A job costs a few microseconds instead of AnyIO's twenty to thirty: the workers wait on one C queue, and the results of
all workers that finish meanwhile come back to the event loop with one wake-up. Each event loop has threads of its own,
so everything but the queue and the list of results is touched by the loop's thread alone and needs no lock.

A pool has three lanes. Endpoints and plain dependencies share one and the first half of a context manager has another,
each of the pool's size; the second half never waits for a free thread. So whoever holds a resource can always use it
and give it back, however many requests wait for it: those wait in other lanes.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import Context, ContextVar, copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, TypeVar

import anyio
from anyio.to_thread import current_default_thread_limiter
from starlette.concurrency import run_until_first_complete

if TYPE_CHECKING:
    from types import TracebackType

from velithon._compat.anyio import as_worker_thread

__all__ = [
    "DEFAULT_THREADS",
    "ThreadPool",
    "contextmanager_in_threadpool",
    "current_thread_pool",
    "iterate_in_threadpool",
    "run_dependency_in_threadpool",
    "run_exit_in_threadpool",
    "run_in_threadpool",
    "run_until_first_complete",
    "use_thread_pool",
]

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_THREADS = 40
"""How many threads a pool has where nothing else is said; AnyIO's and so FastAPI's number."""

_IDLE_SECONDS = 10.0
_END: Any = object()


class _Job:
    """One call on its way to a thread and back."""

    __slots__ = (
        "args", "context", "error", "finished", "func", "future", "kwargs", "scope", "started", "value", "waiter",
    )  # fmt: skip

    def __init__(
        self,
        future: asyncio.Future[object],
        func: Callable[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        started: bool,
        context: Context,
        scope: anyio.CancelScope | None,
    ) -> None:
        self.future = future
        self.func = func
        self.args = args
        self.kwargs = kwargs
        # A job that counts as started cannot be called back: see `run`.
        self.started = started
        self.finished = False
        self.context = context
        # Cancels what the function awaits by `anyio.from_thread`.
        self.scope = scope
        self.value: object = None
        self.error: BaseException | None = None
        self.waiter: asyncio.Future[None] | None = None

    def run(self) -> None:
        """Make the call, in a worker's thread, unless it was cancelled before."""
        # The order matters: either this sees the cancellation, or whoever cancelled sees that the call has started.
        started, self.started = self.started, True
        if not started and self.future.cancelled():
            return
        try:
            self.value = self.context.run(self.func, *self.args, **self.kwargs)
        except StopIteration as stop:
            # A future refuses StopIteration, as a coroutine does (PEP 479).
            self.error = RuntimeError("coroutine raised StopIteration")
            self.error.__cause__ = stop
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            self.error = error

    def set_outcome(self) -> None:
        """Hand the outcome to whoever waits, in the loop's thread."""
        self.finished = True
        if not self.future.cancelled():
            if self.error is None:
                self.future.set_result(self.value)
            else:
                self.future.set_exception(self.error)
        elif self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


# Tells a worker to wait anew. Up to Python 3.12 a timed `SimpleQueue.get` waits without a limit when another thread
# took what woke it and its time was over meanwhile: the worker would not notice that it idles.
_AGAIN: Final = True


class _Workers:
    """The threads of one lane that serve one event loop."""

    __slots__ = (
        "count", "done", "gone", "in_flight", "innermost_scope", "loop", "queue", "retiring", "scheduled", "size",
        "states", "threads", "token",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, size: float) -> None:
        from anyio.lowlevel import current_token

        # With AnyIO's backend, which is imported late.
        from velithon._compat.anyio_scopes import innermost_cancel_scope, states_of_tasks

        self.innermost_scope = innermost_cancel_scope
        # While it is empty there is no scope to look for.
        self.states = states_of_tasks
        self.loop = loop
        self.size = size
        self.token = current_token()
        self.queue: SimpleQueue[_Job | Literal[True] | None] = SimpleQueue()
        self.done: deque[_Job] = deque()
        self.scheduled = False
        self.retiring = False
        self.in_flight = 0
        self.count = 0
        self.threads: set[threading.Thread] = set()
        self.gone: asyncio.Future[None] | None = None

    async def run(
        self,
        func: Callable[..., T],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        started: bool = False,
        context: Context | None = None,
    ) -> T:
        """Call in a thread; a cancelled caller waits until a call that has started is over."""
        scope = self.innermost_scope() if self.states else None
        if context is None:
            context = copy_context()
        job = _Job(self.loop.create_future(), func, args, kwargs, started, context, scope)
        self.in_flight += 1
        if self.in_flight > self.count and self.count < self.size:
            self._spawn()
        self.queue.put(job)
        try:
            return await job.future  # type: ignore[return-value]  # what `func` returned
        except asyncio.CancelledError:
            if job.started and not job.finished:
                await self._wait(job)
            raise
        finally:
            # The exception's traceback holds this frame: without this the two would keep each other.
            del job

    async def _wait(self, job: _Job) -> None:
        # A cancelled AnyIO scope cancels at every turn of the loop unless it is shielded off.
        with anyio.CancelScope(shield=True):
            while not job.finished:
                job.waiter = self.loop.create_future()
                try:
                    await job.waiter
                except asyncio.CancelledError:
                    continue

    def _spawn(self) -> None:
        thread = threading.Thread(target=self._work, name=f"velithon-{self.count}", daemon=True)
        self.count += 1
        self.threads.add(thread)
        thread.start()

    def _work(self) -> None:
        get, done = self.queue.get, self.done
        with as_worker_thread(self.token) as use_scope:
            while True:
                try:
                    job = get(True, _IDLE_SECONDS)
                except Empty:
                    if not self._retire():
                        return
                    continue
                if job is _AGAIN:
                    continue
                if job is None:
                    self._call_in_loop(self._forget_thread, threading.current_thread())
                    return
                if job.scope is None:
                    job.run()
                else:
                    use_scope(job.scope)
                    job.run()
                    use_scope(None)
                done.append(job)
                del job
                # Set and cleared without a lock: the result is in the list before the flag is read, and `_drain`
                # clears the flag before it reads the list, so no result stays behind; two wake-ups do no harm.
                if not self.scheduled:
                    self.scheduled = True
                    if not self._call_in_loop(self._drain):
                        return

    def _call_in_loop(self, callback: Callable[..., object], *args: object) -> bool:
        try:
            self.loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop was closed: nobody is left to tell
            return False
        return True

    def _drain(self) -> None:
        self.scheduled = False
        done = self.done
        while done:
            self.in_flight -= 1
            done.popleft().set_outcome()

    def _retire(self) -> bool:
        # The loop's thread decides, because it alone knows that no job is on its way to this worker.
        if self.retiring:
            return not self.loop.is_closed()
        self.retiring = True
        return self._call_in_loop(self._dismiss_one)

    def _dismiss_one(self) -> None:
        self.retiring = False
        if self.in_flight < self.count:
            self.count -= 1
            self.queue.put(None)

    def _forget_thread(self, thread: threading.Thread) -> None:
        thread.join()
        self.threads.discard(thread)
        if self.count and not self.in_flight:
            self.queue.put(_AGAIN)
        if self.gone is not None and not self.threads and not self.gone.done():
            self.gone.set_result(None)

    def dismiss(self) -> None:
        """Let every worker end after the jobs that are queued."""
        for _ in range(self.count):
            self.queue.put(None)
        self.count = 0

    async def ended(self) -> None:
        """Wait until the last worker has ended."""
        if self.threads:
            self.gone = self.loop.create_future()
            await self.gone


class _Lane:
    """The workers of one lane, by event loop."""

    __slots__ = ("size", "workers")

    def __init__(self, size: float | None) -> None:
        self.size = size
        self.workers: dict[asyncio.AbstractEventLoop, _Workers] = {}

    def here(self) -> _Workers:
        """Return the workers of the running loop."""
        loop = asyncio.get_running_loop()
        workers = self.workers.get(loop)
        if workers is None:
            for other in [known for known in self.workers if known.is_closed()]:
                self.workers.pop(other).dismiss()
            size = current_default_thread_limiter().total_tokens if self.size is None else self.size
            workers = self.workers[loop] = _Workers(loop, size)
        return workers


class ThreadPool:
    """Threads for blocking calls, made when they are needed and ended when they idle.

    Args:
        size: How many calls run at once, for each event loop. With `None` it is what AnyIO's default limiter says when
            the loop makes its first call: 40, or what the application or the command line set it to.

    Raises:
        ValueError: The size is no positive number.
    """

    __slots__ = ("_calls", "_enters", "_exits", "size")

    def __init__(self, size: int | None = DEFAULT_THREADS) -> None:
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            raise ValueError(f"The size of a thread pool must be a whole number from 1, not {size!r}.")
        self.size = size
        self._calls = _Lane(size)
        self._enters = _Lane(size)
        self._exits = _Lane(float("inf"))

    def run(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, T]:
        """Call a function in a thread, with a copy of the caller's context variables.

        When the caller is cancelled, a call that has not started never does; one that has started is waited for and its
        outcome dropped.
        """
        return self._calls.here().run(func, args, kwargs)

    def in_use(self) -> tuple[int, int]:
        """Return how many threads are busy for the running loop, and how many calls wait."""
        workers = self._calls.workers.get(asyncio.get_running_loop())
        if workers is None:
            return 0, 0
        busy = min(workers.in_flight, workers.count)
        return busy, workers.in_flight - busy

    async def run_in_own_context(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread; context variables that it sets reach the caller."""
        context = copy_context()
        try:
            return await self._calls.here().run(func, args, kwargs, context=context)
        finally:
            _adopt(context)

    async def enter(self, manager: AbstractContextManager[T], context: Context | None = None) -> T:
        """Enter a context manager in a thread; exit it when the caller is cancelled."""
        entering = _Entering(manager)
        try:
            return await self._enters.here().run(entering, (), {}, context=context)
        except asyncio.CancelledError as cancelled:
            if entering.entered:
                await self.exit(manager, cancelled, context)
            raise

    async def exit(
        self, manager: AbstractContextManager[object], error: BaseException | None, context: Context | None = None
    ) -> bool:
        """Exit a context manager in a thread, at once and despite any cancellation.

        Returns:
            Whether the context manager has dealt with the error.
        """
        details = (None, None, None) if error is None else (type(error), error, error.__traceback__)
        return bool(await self._exit(manager.__exit__, details, {}, context))

    async def _exit(
        self, func: Callable[..., T], args: tuple[object, ...], kwargs: Mapping[str, object], context: Context | None
    ) -> T:
        workers = self._exits.here()
        if workers.innermost_scope() is None:
            return await workers.run(func, args, kwargs, True, context)
        value = None
        with anyio.CancelScope(shield=True):
            value = await workers.run(func, args, kwargs, True, context)
        return value  # type: ignore[return-value]  # a scope that nobody cancels swallows nothing

    async def aclose(self, grace: float = 5.0) -> None:
        """End the threads of the running loop after their calls; new calls make others.

        Args:
            grace: How long to wait for them, in seconds. Threads that are busy still end later, on their own.
        """
        loop = asyncio.get_running_loop()
        lanes = (self._calls, self._enters, self._exits)
        found = [workers for lane in lanes if (workers := lane.workers.pop(loop, None)) is not None]
        for workers in found:
            workers.dismiss()
        if found:
            waits = [asyncio.ensure_future(workers.ended()) for workers in found]
            _, late = await asyncio.wait(waits, timeout=grace)
            for wait in late:
                wait.cancel()


class _Entering(Generic[T]):
    __slots__ = ("entered", "manager")

    def __init__(self, manager: AbstractContextManager[T]) -> None:
        self.manager = manager
        self.entered = False

    def __call__(self) -> T:
        value = self.manager.__enter__()
        self.entered = True
        return value


class _ThreadedContext(AbstractAsyncContextManager[T]):
    """A context manager in threads: it is entered and exited in one context, whose variables the caller has too."""

    __slots__ = ("context", "manager", "pool")

    def __init__(self, manager: AbstractContextManager[T]) -> None:
        self.manager = manager
        self.pool = _current.get()

    async def __aenter__(self) -> T:
        self.context = copy_context()
        try:
            return await self.pool.enter(self.manager, self.context)
        finally:
            _adopt(self.context)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.context.run(_adopt, copy_context())
        try:
            return await self.pool.exit(self.manager, error, self.context)
        finally:
            _adopt(self.context)


def _adopt(context: Context) -> None:
    """Set the variables of the current context as they are in another one."""
    for variable, value in context.items():
        if variable.get(_END) is not value:
            variable.set(value)


_current: ContextVar[ThreadPool] = ContextVar("velithon_thread_pool", default=ThreadPool(None))  # noqa: B039 - the shared pool


def current_thread_pool() -> ThreadPool:
    """Return this context's pool: the application's, or the one that others share."""
    return _current.get()


def use_thread_pool(pool: ThreadPool) -> None:
    """Let this context, and the tasks started in it, use a pool of its own."""
    _current.set(pool)


def run_in_threadpool(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, T]:
    """Call a blocking function in a thread and await what it returns, as ``ThreadPool.run`` does."""
    # As the pool's `run` and its lane's `here` do, without calling them.
    lane = _current.get()._calls
    workers = lane.workers.get(asyncio.get_running_loop())
    return (lane.here() if workers is None else workers).run(func, args, kwargs)


def run_dependency_in_threadpool(
    func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> Coroutine[object, None, T]:
    """Call a blocking function in a thread; context variables it sets reach the caller."""
    return _current.get().run_in_own_context(func, *args, **kwargs)


def run_exit_in_threadpool(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, T]:
    """Call a cleanup function in a thread, at once and despite any cancellation."""
    return _current.get()._exit(func, args, kwargs, None)


def contextmanager_in_threadpool(cm: AbstractContextManager[T]) -> AbstractAsyncContextManager[T]:
    """Return an async context manager that enters and exits a blocking one in threads.

    The exit runs in a lane that waits for nobody, and runs whenever the entry has succeeded.
    """
    return _ThreadedContext(cm)


async def close_iterator(iterator: object) -> None:
    """Close an async generator now; other iterators have nothing to close."""
    aclose = getattr(iterator, "aclose", None)
    if aclose is not None:
        await aclose()


async def iterate_in_threadpool(iterator: Iterable[T]) -> AsyncIterator[T]:
    """Iterate over something whose next item may block, each step in a thread.

    A generator that is left before its end is closed, in a thread as well.
    """
    pool = _current.get()
    steps = await pool.run(iter, iterator)
    ended = False
    try:
        while True:
            item = await pool.run(next, steps, _END)
            if item is _END:
                ended = True
                return
            yield item
    except Exception:
        ended = True
        raise
    finally:
        if not ended and (close := getattr(steps, "close", None)) is not None:
            await run_exit_in_threadpool(close)
