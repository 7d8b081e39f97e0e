"""Threads for blocking calls: outcomes, context, cancellation, lanes, loops and shutdown."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.from_thread
import pytest

from tests.conftest import AsyncClientFactory, ClientFactory
from tests.waiting import until_async
from velithon import Depends, Velithon, concurrency
from velithon.concurrency import (
    ThreadPool,
    contextmanager_in_threadpool,
    current_thread_pool,
    iterate_in_threadpool,
    run_in_threadpool,
    use_thread_pool,
)

number: ContextVar[int] = ContextVar("number", default=0)


def workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("velithon-")}


def test_a_call_runs_in_another_thread_with_its_arguments() -> None:
    """The result comes back to the caller; the loop's thread is free meanwhile."""

    def call(*args: int, **kwargs: int) -> tuple[Any, ...]:
        return threading.get_ident(), args, kwargs

    async def main() -> None:
        ident, args, kwargs = await run_in_threadpool(call, 1, 2, three=3)
        assert ident != threading.get_ident()
        assert (args, kwargs) == ((1, 2), {"three": 3})

    asyncio.run(main())


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_exception_reaches_the_caller(error: BaseException) -> None:
    """The very object that was raised arrives, whatever its class."""

    def call() -> None:
        raise error

    async def main() -> BaseException | None:
        try:
            await run_in_threadpool(call)
        except BaseException as caught:  # noqa: BLE001 - KeyboardInterrupt is one of the cases
            return caught
        return None

    assert asyncio.run(main()) is error


def test_stop_iteration_becomes_a_runtime_error() -> None:
    """A future cannot carry StopIteration, so it is wrapped as PEP 479 does."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await run_in_threadpool(next, iter(()))

    asyncio.run(main())


def test_context_variables_are_copied() -> None:
    """The thread sees the caller's values; what it sets stays its own."""

    def call() -> int:
        seen = number.get()
        number.set(99)
        return seen

    async def main() -> None:
        number.set(7)
        assert await run_in_threadpool(call) == 7
        assert number.get() == 7

    asyncio.run(main())


def test_calls_run_at_once_up_to_the_size() -> None:
    """A pool of three runs three calls together and never four."""
    running = 0
    most = 0
    lock = threading.Lock()
    meet = threading.Barrier(3)

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        meet.wait(10)
        with lock:
            running -= 1

    async def main() -> None:
        pool = ThreadPool(3)
        await asyncio.gather(*(pool.run(call) for _ in range(9)))
        await pool.aclose()

    asyncio.run(main())
    assert most == 3


def test_many_calls_all_come_back() -> None:
    """No result is lost however the wake-ups interleave."""

    async def main() -> None:
        pool = ThreadPool(8)
        results = await asyncio.gather(*(pool.run(pow, n, 2) for n in range(5000)))
        assert results == [n * n for n in range(5000)]
        await pool.aclose()

    asyncio.run(main())


def test_a_cancelled_caller_waits_for_its_call() -> None:
    """The thread finishes before the cancellation goes on, and what it returns is dropped."""
    entered, leave, finished = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        entered.set()
        assert leave.wait(10)
        finished.set()

    async def main() -> None:
        task = asyncio.ensure_future(run_in_threadpool(call))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
        assert not task.done()
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert finished.is_set()

    asyncio.run(main())


def test_a_call_that_was_cancelled_in_the_queue_never_runs() -> None:
    """A call that waits for a thread is forgotten when its caller is cancelled."""
    leave = threading.Event()
    ran: list[int] = []

    async def main() -> None:
        pool = ThreadPool(1)
        first = asyncio.ensure_future(pool.run(leave.wait, 10))
        second = asyncio.ensure_future(pool.run(ran.append, 1))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        leave.set()
        assert await first
        assert await pool.run(len, ran) == 0
        await pool.aclose()

    asyncio.run(main())


def test_a_cancelled_anyio_scope_waits_without_spinning() -> None:
    """AnyIO cancels at every turn of the loop; the wait is shielded from that and then ends the scope."""
    entered, leave = threading.Event(), threading.Event()

    def call() -> str:
        entered.set()
        assert leave.wait(10)
        return "dropped"

    async def main() -> None:
        turns = 0
        loop = asyncio.get_running_loop()

        async def release(scope: anyio.CancelScope) -> None:
            await asyncio.to_thread(entered.wait, 10)
            scope.cancel()
            loop.call_later(0.05, leave.set)

        with anyio.CancelScope() as scope:
            helper = asyncio.ensure_future(release(scope))
            await run_in_threadpool(call)
            turns += 1
        assert scope.cancelled_caught
        assert turns == 0
        await helper

    asyncio.run(main())


def test_several_loops_share_a_pool() -> None:
    """Each loop gets its own answers, and a loop that has ended leaves nothing behind for the next one."""
    pool = ThreadPool(2)
    results: list[list[int]] = []

    async def main(base: int) -> list[int]:
        found = await asyncio.gather(*(pool.run(pow, base, n) for n in range(200)))
        await pool.aclose()
        return found

    def in_a_loop(base: int) -> None:
        results.append(asyncio.run(main(base)))

    threads = [threading.Thread(target=in_a_loop, args=(base,)) for base in (2, 3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [[base**n for n in range(200)] for base in (2, 3, 5)]


def test_closing_ends_every_thread_and_the_pool_can_be_used_again() -> None:
    """After ``aclose`` no worker is left; a later call makes a new one."""

    async def main() -> None:
        before = workers()
        pool = ThreadPool(4)
        await asyncio.gather(*(pool.run(time.sleep, 0.01) for _ in range(4)))
        assert len(workers() - before) == 4
        await pool.aclose()
        assert workers() <= before
        assert await pool.run(abs, -1) == 1
        await pool.aclose()
        assert workers() <= before
        await pool.aclose()

    asyncio.run(main())


def test_closing_does_not_wait_for_ever() -> None:
    """A call that never ends holds shutdown up for the grace only."""
    leave = threading.Event()

    async def main() -> None:
        pool = ThreadPool(1)
        stuck = asyncio.ensure_future(pool.run(leave.wait, 10))
        await asyncio.sleep(0)
        await pool.aclose(grace=0.01)
        leave.set()
        assert await stuck

    asyncio.run(main())


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that nothing needs go away by themselves, and those of a closed loop too."""
    monkeypatch.setattr(concurrency, "_IDLE_SECONDS", 0.01)
    before = workers()
    pool = ThreadPool(3)

    async def main() -> None:
        barrier = threading.Barrier(3)
        await asyncio.gather(*(pool.run(barrier.wait, 10) for _ in range(3)))
        await until_async(lambda: workers() <= before and not pool._calls.here().threads)
        await pool.aclose()
        assert await pool.run(abs, -2) == 2

    asyncio.run(main())
    for thread in workers() - before:
        thread.join(10)
        assert not thread.is_alive()


def test_a_thread_with_work_on_its_way_is_not_dismissed() -> None:
    """A worker asks to go when it was idle; by the time it is heard there may be a call for it."""

    async def main() -> None:
        pool = ThreadPool(1)
        leave = threading.Event()
        call = asyncio.ensure_future(pool.run(leave.wait, 10))
        await asyncio.sleep(0)
        pool._calls.here()._dismiss_one()
        leave.set()
        assert await call
        assert pool._calls.here().count == 1
        await pool.aclose()

    asyncio.run(main())


def test_workers_of_a_closed_loop_are_dismissed_by_the_next_one() -> None:
    """A loop that ended without closing the pool does not hold its threads for ever."""
    pool = ThreadPool(2)
    before = workers()
    asyncio.run(_one_call(pool))
    left = workers() - before
    assert left
    asyncio.run(_one_call(pool))
    for thread in left:
        thread.join(10)
        assert not thread.is_alive()


async def _one_call(pool: ThreadPool) -> None:
    await pool.run(abs, -1)


def test_a_call_that_outlives_its_loop_is_dropped() -> None:
    """The worker that has nobody to report to ends."""
    pool = ThreadPool(1)
    leave = threading.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        pool._calls.here().queue  # noqa: B018 - makes the workers of this loop
        job = pool.run(leave.wait, 10)
        job.send(None)  # submitted, and never awaited to its end
        abandoned.append(job)

    abandoned: list[Any] = []
    before = workers()
    loop.run_until_complete(main())
    loop.close()
    (thread,) = workers() - before
    leave.set()
    thread.join(10)
    assert not thread.is_alive()
    abandoned.pop().close()


def test_nothing_is_kept_of_a_call() -> None:
    """A worker that waits holds neither the arguments nor the result of its last call."""

    class Thing:
        pass

    async def main() -> None:
        thing = Thing()
        reference = weakref.ref(thing)
        assert isinstance(await run_in_threadpool(lambda given: given, thing), Thing)
        del thing
        await run_in_threadpool(abs, 1)
        gc.collect()
        assert reference() is None

    asyncio.run(main())


@pytest.mark.parametrize("size", [0, -1, True, 2.5, "10"])
def test_a_size_must_be_a_positive_whole_number(size: Any) -> None:
    """A wrong size is told when the pool is made."""
    with pytest.raises(ValueError, match="thread pool"):
        ThreadPool(size)


def test_a_context_can_use_a_pool_of_its_own() -> None:
    """``use_thread_pool`` decides for the context and the tasks started in it, and for nobody else."""
    pool = ThreadPool(1)

    async def main() -> None:
        shared = current_thread_pool()
        assert shared.size is None

        async def inside() -> ThreadPool:
            use_thread_pool(pool)
            return await asyncio.create_task(_pool_here())

        assert await asyncio.create_task(inside()) is pool
        assert current_thread_pool() is shared

    async def _pool_here() -> ThreadPool:
        return current_thread_pool()

    asyncio.run(main())


class Resource:
    """A context manager that records where and how it is used."""

    def __init__(self, suppress: bool = False) -> None:
        self.log: list[Any] = []
        self.suppress = suppress

    def __enter__(self) -> Resource:
        self.log.append(("enter", threading.get_ident()))
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        self.log.append(("exit", threading.get_ident(), kind, error))
        return self.suppress


def test_a_context_manager_enters_and_exits_in_threads() -> None:
    """Both halves run off the loop's thread; the exit sees no error when there is none."""

    async def main() -> None:
        resource = Resource()
        async with contextmanager_in_threadpool(resource) as value:
            assert value is resource
            assert [entry[0] for entry in resource.log] == ["enter"]
        assert resource.log[1][0] == "exit"
        assert resource.log[1][2:] == (None, None)
        assert threading.get_ident() not in (resource.log[0][1], resource.log[1][1])

    asyncio.run(main())


@pytest.mark.parametrize("suppress", [True, False])
def test_a_context_manager_sees_the_error(suppress: bool) -> None:
    """The exit gets the exception and may deal with it."""

    async def main() -> None:
        resource, error = Resource(suppress), ValueError("x")
        caught: ValueError | None = None
        try:
            async with contextmanager_in_threadpool(resource):
                raise error
        except ValueError as raised:
            caught = raised
        assert resource.log[1][2:] == (ValueError, error)
        assert caught is (None if suppress else error)

    asyncio.run(main())


def test_a_cancelled_entry_is_exited() -> None:
    """What was entered while its caller was cancelled is exited before the cancellation goes on."""
    entered, leave = threading.Event(), threading.Event()
    exits: list[Any] = []

    @contextmanager
    def resource() -> Iterator[int]:
        entered.set()
        assert leave.wait(10)
        try:
            yield 1
        finally:
            exits.append(1)

    async def use() -> None:
        async with contextmanager_in_threadpool(resource()):
            raise AssertionError("the body must not run")

    async def main() -> None:
        task = asyncio.ensure_future(use())
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert exits == [1]

    asyncio.run(main())


def test_an_entry_that_was_cancelled_in_the_queue_is_not_exited() -> None:
    """Only what was entered is exited."""
    leave = threading.Event()

    async def use(resource: Resource) -> None:
        async with contextmanager_in_threadpool(resource):
            raise AssertionError("the body must not run")

    async def main() -> None:
        pool = ThreadPool(1)
        use_thread_pool(pool)
        blocker = asyncio.ensure_future(pool._enters.here().run(leave.wait, (10,), {}))
        resource = Resource()
        task = asyncio.ensure_future(use(resource))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()
        await blocker
        assert resource.log == []
        await pool.aclose()

    asyncio.run(main())


def test_an_exit_runs_under_cancellation() -> None:
    """A scope that is cancelled already does not keep the exit from running to its end."""

    async def main() -> None:
        resource = Resource()
        with anyio.CancelScope() as scope:
            async with contextmanager_in_threadpool(resource):
                scope.cancel()
                await anyio.sleep(1)
        assert [entry[0] for entry in resource.log] == ["enter", "exit"]

    asyncio.run(main())


@pytest.mark.parametrize("acquire_in", ["entry", "call"])
def test_two_hundred_users_of_ten_connections_all_finish(acquire_in: str) -> None:
    """Exits never wait behind calls that wait for them, nor calls behind entries that wait for a resource."""
    connections = threading.BoundedSemaphore(10)

    def get() -> None:
        if not connections.acquire(timeout=20):
            raise TimeoutError("deadlock")

    def call() -> None:
        if acquire_in == "call":
            get()
        time.sleep(0.001)

    @contextmanager
    def session() -> Iterator[None]:
        if acquire_in == "entry":
            get()
        yield
        connections.release()

    async def request() -> int:
        async with contextmanager_in_threadpool(session()):
            await run_in_threadpool(call)
        return 1

    async def main() -> None:
        pool = ThreadPool(10)
        use_thread_pool(pool)
        assert sum(await asyncio.gather(*(request() for _ in range(200)))) == 200
        await pool.aclose()

    asyncio.run(main())


def test_from_thread_reaches_the_loop() -> None:
    """``anyio.from_thread`` works inside a call as it does in AnyIO's own threads."""

    async def on_the_loop(value: int) -> tuple[int, int]:
        await asyncio.sleep(0)
        return value, threading.get_ident()

    def call() -> tuple[Any, Any]:
        anyio.from_thread.check_cancelled()
        return anyio.from_thread.run(on_the_loop, 5), anyio.from_thread.run_sync(threading.get_ident)

    async def main() -> None:
        here = threading.get_ident()
        assert await run_in_threadpool(call) == ((5, here), here)

    asyncio.run(main())


def test_threads_work_without_anyios_thread_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is private to AnyIO; calls do not depend on it."""
    import anyio._core._eventloop as eventloop

    monkeypatch.delattr(eventloop, "threadlocals")

    async def main() -> None:
        pool = ThreadPool(1)
        assert await pool.run(abs, -4) == 4
        await pool.aclose()

    asyncio.run(main())


def test_an_iterable_is_iterated_in_threads() -> None:
    """Every step runs off the loop's thread, and the items come in order."""
    idents: set[int] = set()

    def items() -> Iterator[int]:
        for item in range(3):
            idents.add(threading.get_ident())
            yield item

    async def main() -> None:
        assert [item async for item in iterate_in_threadpool(items())] == [0, 1, 2]
        assert [item async for item in iterate_in_threadpool([4, 5])] == [4, 5]

    asyncio.run(main())
    assert threading.get_ident() not in idents


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_generator_that_is_left_is_closed(cancelled: bool) -> None:
    """Its ``finally`` runs at once, in a thread, also when the reader is cancelled."""
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(threading.current_thread().name)

    async def main() -> None:
        steps = iterate_in_threadpool(items())
        assert await anext(steps) == 1
        with anyio.CancelScope() as scope:
            if cancelled:
                scope.cancel()
            await steps.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
    assert len(closed) == 1
    assert closed[0].startswith("velithon-")


def test_an_iterators_error_reaches_the_reader() -> None:
    """What a step raises ends the iteration with that exception."""

    def items() -> Iterator[int]:
        yield 1
        raise LookupError("gone")

    async def main() -> None:
        steps = iterate_in_threadpool(items())
        assert await anext(steps) == 1
        with pytest.raises(LookupError, match="gone"):
            await anext(steps)

    asyncio.run(main())


@pytest.mark.parametrize("acquire_in", ["dependency", "endpoint"])
def test_two_hundred_requests_on_ten_threads_all_finish(async_client: AsyncClientFactory, acquire_in: str) -> None:
    """A sync endpoint with a sync yield dependency and ten connections, wherever these are taken, on both faces."""
    connections = threading.BoundedSemaphore(10)
    app = Velithon(thread_pool_size=10)
    running: list[int] = []
    most: list[int] = []

    def take() -> None:
        if not connections.acquire(timeout=20):
            raise TimeoutError("deadlock")

    def session() -> Iterator[None]:
        if acquire_in == "dependency":
            take()
        yield
        connections.release()

    @app.get("/", dependencies=[Depends(session)])
    def endpoint() -> int:
        if acquire_in == "endpoint":
            take()
        running.append(1)
        most.append(len(running))
        time.sleep(0.001)
        running.pop()
        return 1

    async def main() -> None:
        before = workers()
        async with async_client(app) as client:
            answers = await asyncio.gather(*(client.get("/") for _ in range(200)))
        assert [answer.status_code for answer in answers] == [200] * 200
        assert workers() <= before

    asyncio.run(main())
    assert max(most) <= 10


def test_a_sync_endpoint_sees_the_requests_context_and_loop(client: ClientFactory) -> None:
    """Context variables set by a dependency, and AnyIO's way back to the loop."""
    app = Velithon()

    async def dependency() -> None:
        number.set(41)

    async def add_one(value: int) -> int:
        return value + 1

    @app.get("/", dependencies=[Depends(dependency)])
    def endpoint() -> int:
        return anyio.from_thread.run(add_one, number.get())

    assert client(app).get("/").json() == 42
