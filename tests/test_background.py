from __future__ import annotations

import asyncio
import gc
import logging
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from starlette.background import BackgroundTask as StarletteBackgroundTask
from starlette.background import BackgroundTasks as StarletteBackgroundTasks
from starlette.responses import Response as StarletteResponse

from tests.conftest import ClientFactory
from tests.waiting import until_async
from velithon import Depends, HTTPException, Velithon
from velithon.background import BackgroundTask, BackgroundTasks, InFlight, injected_tasks, run_background, task_name
from velithon.requests import Request
from velithon.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

pytestmark = pytest.mark.anyio


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom("no")


async def fail_later() -> None:
    raise Boom("later")


# One task


async def test_a_sync_function_runs_in_a_thread_and_an_async_one_in_the_loop() -> None:
    threads: list[threading.Thread] = []

    def call(*args: object, **kwargs: object) -> None:
        threads.append(threading.current_thread())
        assert (args, kwargs) == ((1,), {"key": 2})

    async def call_async(*args: object, **kwargs: object) -> None:
        call(*args, **kwargs)

    await BackgroundTask(call, 1, key=2)()
    await BackgroundTask(call_async, 1, key=2)()
    assert threads[0] is not threading.current_thread()
    assert threads[1] is threading.current_thread()


async def call_of(make: Callable[[Callable[..., Any]], BackgroundTask]) -> Any:
    calls: list[Any] = []

    def record(*a: object, **kw: object) -> None:
        calls.append((a, kw))

    await make(record)()
    return calls[0]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda f: BackgroundTask(f, 1, key=2), ((1,), {"key": 2})),
        (lambda f: BackgroundTask(f, args=(1, 2), kwargs={"key": 3}), ((1, 2), {"key": 3})),
        (lambda f: BackgroundTask(f, args=[1]), ((1,), {})),
        (lambda f: BackgroundTask(f, kwargs={"key": 3}), ((), {"key": 3})),
        (lambda f: BackgroundTask(f, args=(), kwargs=None), ((), {})),
        (lambda f: BackgroundTask(f, 1, args=(2,)), ((1,), {"args": (2,)})),
        (lambda f: BackgroundTask(f, args=(2,), key=1), ((), {"args": (2,), "key": 1})),
        (lambda f: BackgroundTask(f, args="text"), ((), {"args": "text"})),
        (lambda f: BackgroundTask(f, kwargs="text"), ((), {"kwargs": "text"})),
    ],
)
async def test_arguments_are_given_as_in_a_call_or_packed(
    make: Callable[[Callable[..., Any]], BackgroundTask], expected: object
) -> None:
    """`args=` and `kwargs=` hold the arguments only where nothing else is given, and a tuple and a dictionary are."""
    assert await call_of(make) == expected


async def test_a_function_with_such_parameters_gets_them_as_they_are() -> None:
    found: list[object] = []

    def own(args: tuple[int, ...], kwargs: dict[str, int] | None = None) -> None:
        found.append((args, kwargs))

    await BackgroundTask(own, args=(1, 2))()
    await BackgroundTask(own, args=(1,), kwargs={"x": 2})()
    assert found == [((1, 2), None), ((1,), {"x": 2})]


async def test_a_function_whose_signature_cannot_be_read_takes_packed_arguments() -> None:
    found: dict[str, int] = {}
    await BackgroundTask(found.update, args=({"x": 1},))()
    await BackgroundTask(dict, args=({"x": 1},))()
    assert found == {"x": 1}


def test_what_cannot_be_called_raises() -> None:
    with pytest.raises(TypeError, match="'text' cannot be called."):
        BackgroundTask("text")  # type: ignore[call-overload]


async def test_a_failure_reaches_who_awaits_the_task() -> None:
    with pytest.raises(Boom):
        await BackgroundTask(fail)()


async def test_the_failure_of_an_attached_task_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await BackgroundTask(fail).attach()()
    await run_background(BackgroundTask(fail_later))
    await run_background(StarletteBackgroundTask(partial(fail)))
    assert [record.getMessage() for record in caplog.records] == [
        "Background task fail failed: Boom('no')",
        "Background task fail_later failed: Boom('later')",
        "Background task fail failed: Boom('no')",
    ]
    for record in caplog.records:
        assert (record.name, record.levelno) == ("velithon.background", logging.ERROR)
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], Boom)


def test_starlettes_responses_take_them() -> None:
    assert isinstance(BackgroundTask(fail).attach(), StarletteBackgroundTask)
    assert isinstance(BackgroundTasks(), StarletteBackgroundTasks)


# Forgotten tasks


def test_a_forgotten_task_warns_with_its_name() -> None:
    with pytest.warns(RuntimeWarning, match="background task fail never ran: await it, or give it to a response"):
        BackgroundTask(fail)


def test_a_forgotten_collection_warns_with_all_names() -> None:
    tasks = BackgroundTasks()
    tasks.add_task(fail)
    tasks.add_task(fail_later)
    with pytest.warns(RuntimeWarning, match="background tasks fail, fail_later never ran"):
        del tasks


async def test_what_is_run_attached_empty_or_handed_over_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await BackgroundTask(print, end="")()
        BackgroundTask(fail).attach()
        BackgroundTasks()
        BackgroundTasks([BackgroundTask(fail)]).attach()
        injected_tasks().add_task(fail)
        await InFlight().run(BackgroundTasks())
        tasks = BackgroundTasks([StarletteBackgroundTask(print, end="")])
        tasks.add_task(print, end="")
        await tasks()
        del tasks
        gc.collect()


# Collections


async def test_never_more_than_max_concurrent_run_and_the_order_of_starting_is_kept() -> None:
    started: list[int] = []
    running = 0
    most = 0
    gates = [asyncio.Event() for _ in range(7)]

    async def work(number: int) -> None:
        nonlocal running, most
        started.append(number)
        running += 1
        most = max(most, running)
        await gates[number].wait()
        running -= 1

    tasks = BackgroundTasks(max_concurrent=3)
    for number in range(7):
        tasks.add_task(work, number)
    run = asyncio.create_task(tasks())
    await until_async(lambda: len(started) == 3)
    assert started == [0, 1, 2]
    gates[1].set()
    await until_async(lambda: len(started) == 4)
    for gate in gates:
        gate.set()
    await run
    assert started == list(range(7))
    assert most == 3


async def test_sync_tasks_run_at_once_in_threads() -> None:
    """Each waits for the other: one after the other they would never pass."""
    together = threading.Barrier(2)
    tasks = BackgroundTasks(max_concurrent=2)
    tasks.add_task(together.wait, 5)
    tasks.add_task(together.wait, 5)
    await tasks(continue_on_error=False)


async def test_one_at_a_time_runs_in_order() -> None:
    lines: list[int] = []

    async def work(number: int) -> None:
        for _ in range(3 - number):
            await asyncio.sleep(0)
        lines.append(number)

    tasks = BackgroundTasks(max_concurrent=1)
    for number in range(3):
        tasks.add_task(work, number)
    await tasks()
    assert lines == [0, 1, 2]


async def test_a_single_task_runs_in_the_callers_task() -> None:
    found: list[object] = []

    async def work() -> None:
        found.append(asyncio.current_task())

    tasks = BackgroundTasks()
    tasks.add_task(work)
    await tasks()
    assert found == [asyncio.current_task()]


async def test_the_others_go_on_when_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    tasks = BackgroundTasks(max_concurrent=2)
    tasks.add_task(done.append, 1)
    tasks.add_task(fail)
    tasks.add_task(fail_later)
    tasks.add_task(done.append, 2)
    await tasks()
    assert sorted(done) == [1, 2]
    assert sorted(record.getMessage() for record in caplog.records) == [
        "Background task fail failed: Boom('no')",
        "Background task fail_later failed: Boom('later')",
    ]


async def test_the_first_failure_cancels_the_rest() -> None:
    """What runs is cancelled and what waits is not started, now or at a later call."""
    lines: list[str] = []
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lines.append("cancelled")
            raise

    async def fail_when_others_run() -> None:
        await waiting.wait()
        raise Boom("first")

    tasks = BackgroundTasks(max_concurrent=2)
    tasks.add_task(wait)
    tasks.add_task(fail_when_others_run)
    tasks.add_task(lines.append, "never started")
    with pytest.raises(RuntimeError, match=r"Background task .*fail_when_others_run failed: Boom\('first'\)") as caught:
        await tasks(continue_on_error=False)
    assert isinstance(caught.value.__cause__, Boom)
    await tasks()
    assert lines == ["cancelled"]


async def test_two_failures_at_once_raise_the_first() -> None:
    both = asyncio.Barrier(2)

    async def meet(name: str) -> None:
        await both.wait()
        raise Boom(name)

    tasks = BackgroundTasks()
    tasks.add_task(meet, "one")
    tasks.add_task(meet, "two")
    with pytest.raises(RuntimeError) as caught:
        await tasks(continue_on_error=False)
    assert isinstance(caught.value.__cause__, Boom)


@pytest.mark.parametrize("max_concurrent", [1, 10])
async def test_a_single_failure_raises_a_runtime_error(max_concurrent: int) -> None:
    tasks = BackgroundTasks(max_concurrent=max_concurrent)
    tasks.add_task(fail)
    with pytest.raises(RuntimeError, match=r"Background task fail failed: Boom\('no'\)") as caught:
        await tasks(continue_on_error=False)
    assert isinstance(caught.value.__cause__, Boom)


async def test_each_task_runs_once() -> None:
    """Awaited in an endpoint, and again by whoever owns the collection: only what was added since runs."""
    lines: list[str] = []
    tasks = injected_tasks()
    tasks.add_task(lines.append, "one")
    await tasks()
    await tasks()
    tasks.add_task(lines.append, "two")
    await tasks()
    assert lines == ["one", "two"]
    assert len(tasks.tasks) == 2


async def test_the_same_task_added_twice_runs_twice() -> None:
    lines: list[str] = []
    task = BackgroundTask(lines.append, "line")
    await BackgroundTasks([task, task])()
    assert lines == ["line", "line"]


async def test_a_cancelled_run_cancels_its_tasks() -> None:
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    tasks = BackgroundTasks([BackgroundTask(wait), BackgroundTask(wait)])
    run = asyncio.create_task(tasks())
    await started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert tasks.unfinished() == []


@pytest.mark.parametrize("number", [0, -1])
def test_max_concurrent_is_at_least_one(number: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, not {number}"):
        BackgroundTasks(max_concurrent=number)


def test_names() -> None:
    assert task_name(StarletteBackgroundTask(partial(partial(fail)))) == "fail"
    assert task_name(StarletteBackgroundTasks([StarletteBackgroundTask(fail)])) == "fail"
    assert task_name(BackgroundTasks()) == "no tasks"
    assert task_name(StarletteBackgroundTask(Callback())) == "a callback"


class Callback:
    def __call__(self) -> None: ...

    def __repr__(self) -> str:
        return "a callback"


# In flight


async def test_who_cancels_the_caller_does_not_cancel_the_work() -> None:
    started, release = asyncio.Event(), asyncio.Event()
    lines: list[str] = []

    async def work() -> None:
        started.set()
        await release.wait()
        lines.append(variable.get())

    variable: ContextVar[str] = ContextVar("variable")
    in_flight = InFlight()

    async def request() -> None:
        variable.set("the request's")
        await in_flight.run(BackgroundTask(work))

    caller = asyncio.create_task(request())
    await started.wait()
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert len(in_flight) == 1
    release.set()
    assert await in_flight.drain(30) == []
    assert lines == ["the request's"]
    assert len(in_flight) == 0


async def test_running_waits_for_the_work_and_logs_its_failure(caplog: pytest.LogCaptureFixture) -> None:
    in_flight = InFlight()
    await in_flight.run(BackgroundTask(fail_later))
    assert "Background task fail_later failed" in caplog.text
    assert await in_flight.drain() == []


async def test_draining_waits_for_what_is_added_meanwhile() -> None:
    lines: list[str] = []
    in_flight = InFlight()
    more: list[asyncio.Task[None]] = []

    async def second() -> None:
        lines.append("second")

    async def first() -> None:
        more.append(asyncio.create_task(in_flight.run(BackgroundTask(second))))
        await asyncio.sleep(0)
        lines.append("first")

    running = asyncio.create_task(in_flight.run(BackgroundTask(first)))
    await asyncio.sleep(0)
    await in_flight.drain(30)
    assert sorted(lines) == ["first", "second"]
    await asyncio.gather(running, *more)


async def test_what_does_not_end_is_cancelled_and_named(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []
    started = asyncio.Event()

    async def endless() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            lines.append("cleaned up")

    async def not_reached() -> None:
        raise AssertionError

    in_flight = InFlight()
    tasks = injected_tasks()
    tasks.add_task(lines.append, "done")
    tasks.add_task(endless)
    tasks.add_task(not_reached)
    request = asyncio.create_task(in_flight.run(tasks))
    other = asyncio.create_task(in_flight.run(StarletteBackgroundTask(endless)))
    await started.wait()
    await until_async(lambda: len(tasks.unfinished()) == 2)
    names = await in_flight.drain(0)
    assert [name.rpartition(".")[2] for name in names] == ["endless", "not_reached", "endless"]
    assert [record.getMessage().rpartition(".")[2] for record in caplog.records] == [
        "endless was abandoned: it did not end within 0 seconds",
        "not_reached was abandoned: it did not end within 0 seconds",
        "endless was abandoned: it did not end within 0 seconds",
    ]
    assert lines == ["done", "cleaned up", "cleaned up"]
    await asyncio.wait([request, other])
    assert request.cancelled()
    assert other.cancelled()


# Over HTTP, on both protocols


def test_a_responses_task_runs_after_it(client: ClientFactory) -> None:
    lines: list[str] = []
    app = Velithon()

    @app.get("/one")
    async def one() -> JSONResponse:
        return JSONResponse({"lines": list(lines)}, background=BackgroundTask(lines.append, "one"))

    @app.get("/two")
    async def two() -> PlainTextResponse:
        tasks = BackgroundTasks()
        tasks.add_task(lines.append, "two")
        tasks.add_task(lines.append, "three")
        return PlainTextResponse(",".join(lines), background=tasks)

    @app.get("/starlette")
    async def starlette() -> StarletteResponse:
        return StarletteResponse(",".join(lines), background=StarletteBackgroundTask(lines.append, "four"))

    http = client(app)
    assert http.get("/one").json() == {"lines": []}
    assert http.get("/two").text == "one"
    assert http.get("/starlette").text.startswith("one,t")
    assert sorted(lines) == ["four", "one", "three", "two"]


def test_injected_tasks_run_in_order_after_the_response(
    client: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is logged, the others run all the same; a dependency's tasks belong to the same collection."""
    lines: list[str] = []
    app = Velithon()

    def dependency(tasks: BackgroundTasks) -> None:
        tasks.add_task(lines.append, "dependency")

    @app.get("/", dependencies=[Depends(dependency)])
    async def endpoint(tasks: BackgroundTasks) -> dict[str, int]:
        tasks.add_task(fail)
        tasks.add_task(lines.append, "endpoint")
        return {"lines": len(lines)}

    response = client(app).get("/")
    assert (response.status_code, response.json()) == (200, {"lines": 0})
    assert lines == ["dependency", "endpoint"]
    assert "Background task fail failed: Boom('no')" in caplog.text


def test_a_failure_does_not_disturb_the_response(client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    app = Velithon()

    @app.get("/")
    async def endpoint() -> JSONResponse:
        return JSONResponse("sent", background=BackgroundTask(fail_later))

    response = client(app).get("/")
    assert (response.status_code, response.json()) == (200, "sent")
    assert "Background task fail_later failed" in caplog.text


def test_tasks_are_awaited_in_an_endpoint(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/")
    async def endpoint(data: str = "") -> dict[str, str]:
        tasks = BackgroundTasks()
        tasks.add_task(risky, data)
        try:
            await tasks(continue_on_error=False)
        except RuntimeError:
            return {"error": "Background task failed"}
        return {"message": "Operation completed"}

    def risky(data: str) -> None:
        if not data:
            raise ValueError("Data cannot be empty")

    http = client(app)
    assert http.get("/").json() == {"error": "Background task failed"}
    assert http.get("/?data=x").json() == {"message": "Operation completed"}


def test_a_task_that_an_endpoint_forgets_warns(client: ClientFactory) -> None:
    app = Velithon()

    @app.get("/")
    async def endpoint() -> dict[str, str]:
        task = BackgroundTask(fail)
        return {"message": task_name(task)}

    with pytest.warns(RuntimeWarning, match="background task fail never ran"):
        assert client(app).get("/").json() == {"message": "fail"}


def test_an_endpoint_that_fails_leaves_its_tasks_without_a_warning(client: ClientFactory) -> None:
    """The injected collection has an owner; as nothing was answered, nothing is run."""
    lines: list[str] = []
    app = Velithon()

    @app.get("/")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(lines.append, "never")
        raise HTTPException(418)

    assert client(app).get("/").status_code == 418
    gc.collect()
    assert lines == []


def test_a_response_that_a_middleware_replaces_leaves_its_task(client: ClientFactory) -> None:
    """As on Starlette: what is to be done after the endpoint is done, whoever answers."""
    lines: list[str] = []
    app = Velithon()

    @app.get("/")
    async def endpoint() -> JSONResponse:
        return JSONResponse("replaced", background=BackgroundTask(lines.append, "json"))

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter(["replaced"]), background=BackgroundTask(lines.append, "stream"))

    @app.middleware("http")
    async def replace(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        await call_next(request)
        return JSONResponse("instead")

    http = client(app)
    assert http.get("/").json() == http.get("/stream").json() == "instead"
    assert lines == ["json", "stream"]


def test_middleware_does_not_cancel_tasks(client: ClientFactory) -> None:
    lines: list[str] = []
    app = Velithon()

    async def work() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        lines.append("done")

    @app.get("/")
    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(work)
        return "ok"

    @app.middleware("http")
    async def outer(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        async with asyncio.timeout(5):
            return await call_next(request)

    assert client(app).get("/").json() == "ok"
    assert lines == ["done"]


def test_a_task_that_a_task_adds_is_run(client: ClientFactory) -> None:
    """As under Starlette, whose loop over the list sees what is added to it."""
    app, done = Velithon(), list[str]()

    @app.get("/")
    async def root(tasks: BackgroundTasks) -> None:
        tasks.add_task(tasks.add_task, done.append, "added")

    assert client(app).get("/").status_code == 200
    assert done == ["added"]


async def test_a_patched_task_is_called_as_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's instrumentation replaces the call of Starlette's class."""
    plain, seen = StarletteBackgroundTask.__call__, list[Any]()

    async def traced(task: StarletteBackgroundTask) -> None:
        seen.append(task)
        await plain(task)

    monkeypatch.setattr(StarletteBackgroundTask, "__call__", traced)
    task = BackgroundTask(seen.append, "done")
    await task()
    assert seen == [task, "done"]
