"""Jobs as functions, and what is done in the process of the application."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from tests.conftest import ClientFactory
from tests.waiting import until_async
from velithon import BackgroundTask, Depends, Header, Request, Velithon
from velithon.di import Provide, ServiceContainer, SingletonProvider
from velithon.exceptions import RegistrationError
from velithon.jobs import (
    JobContext,
    JobEvent,
    JobFailedError,
    Jobs,
    JobsError,
    JobsFullError,
    MemoryBackend,
    add_observer,
    current_job,
    every,
    get_jobs,
    job,
    jobs_from_url,
    registry,
    remove_observer,
)
from velithon.middleware.request_id import RequestIDMiddleware, get_request_id
from velithon.responses import JSONResponse
from velithon.stores import Store, get_store
from velithon.testclient import AsyncTestClient

done: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


class Order(BaseModel):
    """A model."""

    number: int
    at: datetime | None = None


@job
async def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    done.append((a, b))
    return a + b


@job
def in_a_thread(word: str) -> str:
    """Tell where it runs."""
    return f"{word} {threading.current_thread() is threading.main_thread()}"


@job
async def with_a_model(order: Order, tags: set[str]) -> Order:
    """Take and return what JSON has no types for."""
    assert isinstance(order, Order)
    assert isinstance(tags, set)
    return order


def test_a_job_is_still_a_function() -> None:
    """With its name, its documentation and its value."""
    assert asyncio.run(add(2, b=3)) == 5
    assert in_a_thread("in") == "in True"
    assert (add.__wrapped__.__name__, add.__doc__) == ("add", "Add two numbers.")
    assert add.name.endswith("test_jobs.add")


@pytest.mark.asyncio
async def test_results_are_what_the_function_returned() -> None:
    async with Jobs() as jobs:
        assert await (await jobs.enqueue(add, 2, b=3)).result(5) == 5
        assert await (await add.enqueue(2)).result(5) == 3
        assert await (await in_a_thread.enqueue("in")).result(5) == "in False"
        order = Order(number=1, at=datetime(2026, 1, 2))
        assert await (await with_a_model.enqueue(order, tags={"a"})).result(5) == order


@pytest.mark.asyncio
async def test_arguments_are_checked_where_the_job_is_asked_for() -> None:
    async with Jobs():
        with pytest.raises(TypeError, match="takes"):
            await add.enqueue()
        with pytest.raises(TypeError, match="options"):
            await add.enqueue(1, delay=3)
        with pytest.raises(TypeError, match="'x'"):
            await add.enqueue("x")
    assert done == []


class Mailer:
    """A service."""

    def __init__(self) -> None:
        self.sent: list[str] = []


class Services(ServiceContainer):
    """A container."""

    mailer = SingletonProvider(Mailer)


services = Services()


async def session() -> AsyncIterator[str]:
    """A dependency with an exit."""
    done.append("open")
    try:
        yield "session"
    finally:
        done.append("closed")


def made_once() -> object:
    """A dependency of the application."""
    done.append("made")
    return object()


@job
async def with_dependencies(
    to: str,
    db: Annotated[str, Depends(session)],
    shared: Annotated[object, Depends(made_once, scope="app")],
    app: Velithon,
    jobs: Annotated[Jobs, Depends(get_jobs)],
    mailer: Mailer = Provide[services.mailer],
) -> list[Any]:
    """Use all that an endpoint can use."""
    done.append("run")
    mailer.sent.append(to)
    return [db, id(shared), app.title, jobs is app.jobs, list(mailer.sent)]


def test_dependencies_services_and_scopes_work_as_in_endpoints(client: ClientFactory) -> None:
    app = Velithon(title="mine")
    app.register_container(services)

    @app.post("/send")
    async def send(to: str, shared: Annotated[object, Depends(made_once, scope="app")]) -> Any:
        handle = await with_dependencies.enqueue(to)
        return [*await handle.result(5), id(shared)]

    with client(app) as caller:
        db, job_shared, title, is_own, sent, shared = caller.post("/send", params={"to": "ann"}).json()
        assert (db, title, is_own, sent[-1]) == ("session", "mine", True, "ann")
        assert job_shared == shared
    assert done == ["made", "open", "run", "closed"]


def test_dependencies_of_jobs_can_be_overridden(client: ClientFactory) -> None:
    app = Velithon()
    app.dependency_overrides[session] = lambda: "another"

    @app.post("/send")
    async def send() -> Any:
        return await (await with_dependencies.enqueue("bob")).result(5)

    with client(app) as caller:
        assert caller.post("/send").json()[0] == "another"


async def reads_a_header(token: Annotated[str, Header()]) -> str:
    """A dependency of requests."""
    return token


async def takes_the_request(request: Request) -> str:
    """Another one."""
    return request.url.path


@pytest.mark.parametrize("dependency", [reads_a_header, takes_the_request])
def test_what_needs_a_request_is_refused_at_registration(dependency: Callable[..., Any]) -> None:
    with pytest.raises(RegistrationError, match="no request"):

        @job
        async def wrong(value: Annotated[str, Depends(dependency)]) -> None: ...


def test_what_cannot_travel_is_refused_at_registration() -> None:
    with pytest.raises(RegistrationError, match="Depends or Provide"):

        @job
        async def wrong(mailer: Mailer) -> None: ...

    with pytest.raises(RegistrationError, match="have names"):

        @job
        async def also_wrong(*args: int) -> None: ...


def test_two_jobs_cannot_have_one_name() -> None:
    @job(name="taken")
    async def first() -> None: ...

    with pytest.raises(ValueError, match="taken"):

        @job(name="taken")
        async def second() -> None: ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"priority": 10}, "0 to 9"),
        ({"retries": -1}, "retries"),
        ({"delay": -1}, "delay"),
        ({"timeout": 0}, "timeout"),
        ({"backoff": -1}, "backoff"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        add.options(**options)


def test_options_that_do_not_exist_are_refused() -> None:
    with pytest.raises(TypeError, match="no option 'retry'"):
        add.options(retry=3)  # type: ignore[call-arg] # that is the point
    with pytest.raises(TypeError, match="function"):
        job(3)  # type: ignore[call-overload] # that is the point


@pytest.mark.asyncio
async def test_who_has_no_application_is_told() -> None:
    with pytest.raises(JobsError, match="with TestClient"):
        await add.enqueue(1)
    with pytest.raises(JobsError, match="async with app.jobs"):
        await Jobs().enqueue(add, 1)
    with pytest.raises(ValueError, match="known are"):
        jobs_from_url("ftp://localhost")


@job(retries=2, backoff=0)
async def fails(times: int, context: JobContext) -> int:
    """Fail so many times."""
    done.append(context.attempt)
    if context.attempt <= times:
        raise KeyError(f"attempt {context.attempt}")
    return context.attempt


@pytest.mark.asyncio
async def test_a_failed_job_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async with Jobs():
        assert await (await fails.enqueue(2)).result(5) == 3
    assert done == [1, 2, 3]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


@pytest.mark.asyncio
async def test_a_job_that_failed_for_good_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    async with Jobs():
        handle = await fails.enqueue(9)
        with pytest.raises(JobFailedError, match="attempt 3"):
            await handle.result(5)
        assert await handle.state() == "failed"
    # Of this job: schedules of the same process may run meanwhile.
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    (record,) = [record for record in errors if record.__dict__["job_id"] == handle.id]
    assert record.exc_info is not None
    assert record.__dict__["job"] == fails.name


@job(backoff=lambda attempt: attempt * 7)
async def patient() -> None:
    """Do nothing."""


def test_backoff_doubles_and_is_bounded() -> None:
    for attempt, longest in [(1, 2), (2, 4), (5, 32), (50, 3600)]:
        waits = [add.wait(attempt, 2) for _ in range(50)]
        assert longest / 2 <= min(waits) <= max(waits) <= longest
    assert patient.wait(3, None) == 21
    with pytest.raises(TypeError, match="cannot travel"):
        add.options(backoff=lambda attempt: attempt * 7)


@job(timeout=0.05)
async def hangs() -> None:
    """Never end."""
    await asyncio.sleep(60)


@pytest.mark.asyncio
async def test_a_job_that_takes_too_long_fails() -> None:
    async with Jobs():
        with pytest.raises(JobFailedError, match="0.05 seconds"):
            await (await hangs.enqueue()).result(5)


@job(timeout=0.05)
async def swallows() -> None:
    """Overhear the first cancellation, as `asyncio.wait_for` may in Python 3.11."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(60)


@pytest.mark.asyncio
async def test_a_cancellation_that_was_overheard_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("velithon.jobs.limit.AGAIN_SECONDS", 0.05)
    async with Jobs():
        with pytest.raises(JobFailedError, match="0.05 seconds"):
            await (await swallows.enqueue()).result(5)


gates: dict[str, asyncio.Event] = {}


@job
async def waits(name: str) -> str:
    """Wait for its gate."""
    done.append(name)
    await gates[name].wait()
    return name


def gate(*names: str) -> None:
    gates.update({name: asyncio.Event() for name in names})


@pytest.mark.asyncio
async def test_the_highest_priority_is_done_first() -> None:
    gate("first", "low", "normal", "high")
    async with Jobs(MemoryBackend(concurrency=1)):
        handles = [await waits.enqueue("first")]
        await until_async(lambda: done == ["first"])
        for name, priority in (("low", 1), ("normal", 5), ("high", 9)):
            handles.append(await waits.options(priority=priority).enqueue(name))
            gates[name].set()
        gates["first"].set()
        assert [await handle.result(5) for handle in handles] == ["first", "low", "normal", "high"]
    assert done == ["first", "high", "normal", "low"]


@pytest.mark.asyncio
async def test_a_delayed_job_waits() -> None:
    async with Jobs():
        handle = await add.options(delay=0.2).enqueue(1)
        assert await handle.state() == "queued"
        assert await handle.result(5) == 2
        record = await handle.record()
        assert record.started_at is not None
        assert record.started_at - record.enqueued_at >= 0.2


@pytest.mark.asyncio
@pytest.mark.parametrize("unique", [True, "the only one", lambda name: name])
async def test_there_is_one_unique_job_at_a_time(unique: Any) -> None:
    """Whoever asks for another gets the handle of the one that waits or runs."""
    gate("a")
    only = waits.options(unique=unique)
    async with Jobs():
        first, second = await only.enqueue("a"), await only.enqueue("a")
        assert first.id == second.id
        gates["a"].set()
        await first.result(5)
        third = await only.enqueue("a")
        assert third.id != first.id
        await third.result(5)
    assert done == ["a", "a"]


@pytest.mark.asyncio
async def test_unique_by_arguments_tells_arguments_apart() -> None:
    gate("a", "b")
    only = waits.options(unique=True)
    async with Jobs():
        first, second = await only.enqueue("a"), await only.enqueue("b")
        assert first.id != second.id
        gates["a"].set()
        gates["b"].set()


@job
async def tells(context: JobContext) -> str:
    """Tell how far it is."""
    await context.progress({"done": 3, "of": 10})
    done.append("told")
    await gates["tell"].wait()
    assert current_job() is context
    return context.id


@pytest.mark.asyncio
async def test_progress_is_seen_by_id() -> None:
    gate("tell")
    async with Jobs() as jobs:
        handle = await tells.enqueue()
        await until_async(lambda: done == ["told"])
        assert await jobs.get(handle.id).progress() == {"done": 3, "of": 10}
        assert await handle.state() == "running"
        with pytest.raises(TimeoutError):
            await handle.result(0)
        gates["tell"].set()
        assert await handle.result(5) == handle.id
        with pytest.raises(JobsError, match="Nothing is known"):
            await jobs.get("nothing").record()
    assert current_job() is None


@pytest.mark.asyncio
async def test_a_full_backend_takes_no_more() -> None:
    gate("a")
    async with Jobs(MemoryBackend(concurrency=1, max_waiting=2)):
        handles = [await waits.enqueue("a")]
        await until_async(lambda: done == ["a"])
        handles += [await waits.enqueue("a"), await waits.enqueue("a")]
        with pytest.raises(JobsFullError, match="2 jobs wait"):
            await waits.enqueue("a")
        gates["a"].set()
        for handle in handles:
            await handle.result(5)


def test_a_shutdown_waits_for_jobs(client: ClientFactory) -> None:
    """And for those that jobs and background tasks ask for meanwhile."""
    app = Velithon()

    @app.post("/")
    async def endpoint() -> JSONResponse:
        return JSONResponse({}, background=BackgroundTask(chain.enqueue, 3))

    with client(app) as caller:
        caller.post("/")
    assert done == [3, 2, 1, 0]


@job
async def chain(left: int) -> None:
    """Ask for the next."""
    await asyncio.sleep(0.01)
    done.append(left)
    if left:
        await chain.enqueue(left - 1)


def test_a_shutdown_names_what_it_abandons(client: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    """What runs, what waits and what is due later."""
    app = Velithon(background_grace=0.1, jobs=Jobs(MemoryBackend(concurrency=1)))

    @app.post("/")
    async def endpoint() -> None:
        gate("a")
        await waits.enqueue("a")
        await add.enqueue(1)
        await add.options(delay=60).enqueue(2)

    with client(app) as caller:
        caller.post("/")
    lost = [record.getMessage() for record in caplog.records if "abandoned" in record.getMessage()]
    assert len(lost) == 3
    assert ["due in" in message for message in lost].count(True) == 1
    assert all(name in "".join(lost) for name in (waits.name, add.name))


@job
async def logs() -> str | None:
    """Log and fail."""
    logging.getLogger("mine").info("hello")
    done.append(get_request_id())
    raise ValueError("no")


def test_what_a_job_logs_carries_the_request_that_asked_for_it(
    client: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = Velithon()
    app.add_middleware(RequestIDMiddleware)

    @app.post("/")
    async def endpoint() -> None:
        await logs.enqueue()

    with client(app) as caller:
        caller.post("/", headers={"x-request-id": "request-7"})
    assert done == ["request-7"]
    found = {record.name: record.__dict__.get("request_id") for record in caplog.records}
    assert found["mine"] == found["velithon.jobs"] == "request-7"


@pytest.mark.asyncio
async def test_observers_see_what_happens() -> None:
    """One that fails is logged, and does no harm."""
    events: list[JobEvent] = []

    def wrong(event: JobEvent) -> None:
        raise ValueError("observer")

    add_observer(wrong)
    add_observer(events.append)
    try:
        async with Jobs():
            await (await fails.enqueue(1)).result(5)
            with pytest.raises(JobFailedError):
                await (await hangs.enqueue()).result(5)
    finally:
        remove_observer(events.append)
        remove_observer(wrong)
    kinds = [(event.kind, event.attempt) for event in events if event.job == fails.name]
    assert kinds == [("enqueued", 1), ("started", 1), ("retried", 1), ("started", 2), ("succeeded", 2)]
    (failed,) = [event for event in events if event.kind == "failed"]
    assert failed.seconds >= 0.05


@pytest.mark.asyncio
async def test_a_trace_goes_through() -> None:
    """What a job does belongs to the trace that asked for it."""
    trace = pytest.importorskip("opentelemetry.trace")
    context = trace.set_span_in_context(
        trace.NonRecordingSpan(trace.SpanContext(0x1234567890ABCDEF1234567890ABCDEF, 0x1234567890ABCDEF, False, 1))
    )
    from opentelemetry.context import attach, detach

    async with Jobs():
        token = attach(context)
        try:
            handle = await traced.enqueue()
        finally:
            detach(token)
        assert await handle.result(5) == "1234567890abcdef1234567890abcdef"


@job
async def traced() -> str:
    """Return the trace's id."""
    from opentelemetry import trace

    return f"{trace.get_current_span().get_span_context().trace_id:032x}"


@pytest.mark.asyncio
async def test_several_applications_in_one_loop_are_told_apart() -> None:
    """The one that was given a backend does the jobs; of two such, none is chosen."""
    async with Jobs() as first, Jobs(MemoryBackend()) as second:
        handle = await add.enqueue(1)
        assert await second.get(handle.id).result(5) == 2
        with pytest.raises(JobsError, match="Nothing is known"):
            await first.get(handle.id).record()
        async with Jobs(MemoryBackend()):
            with pytest.raises(JobsError, match="Several"):
                await add.enqueue(1)


def test_jobs_are_in_the_metrics(client: ClientFactory) -> None:
    from prometheus_client import CollectorRegistry

    from velithon.metrics import Metrics

    app = Velithon()
    registry = CollectorRegistry()
    Metrics(registry=registry).install(app)

    @app.post("/")
    async def endpoint() -> Any:
        return await (await fails.enqueue(1)).result(5)

    with client(app) as caller:
        assert caller.post("/").json() == 2
    for event, count in [("enqueued", 1), ("started", 2), ("retried", 1), ("succeeded", 1), ("failed", None)]:
        assert registry.get_sample_value("jobs_total", {"job": fails.name, "event": event}) == count
    assert registry.get_sample_value("job_duration_seconds_count", {"job": fails.name}) == 2
    assert registry.get_sample_value("job_wait_seconds_count", {"job": fails.name}) == 2


@job
async def keeps(store: Annotated[Store, Depends(get_store)]) -> None:
    """Keep a value."""
    await store.set("kept", b"1")


@pytest.mark.asyncio
async def test_the_store_of_the_application_is_there_in_a_job() -> None:
    app = Velithon()
    async with app.jobs:
        await (await keeps.enqueue()).result(5)
    assert await app.store.get("kept") == b"1"


@pytest.mark.asyncio
async def test_what_is_mounted_asks_for_no_schedule_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process does a scheduled job once for each time, in its outermost application."""
    monkeypatch.setattr(registry, "_jobs", {})
    outer = Velithon()

    @job(name="mounted.ticks", schedule=every(seconds=0.1))
    async def ticks(app: Velithon) -> None:
        done.append(app)

    outer.mount("/inner", Velithon())
    async with AsyncTestClient(outer):
        async with asyncio.timeout(20):
            while len(done) < 4:
                await asyncio.sleep(0.01)
    assert set(done) == {outer}


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.7, 1.1, 59.9, 86_400])
def test_the_next_time_is_later_each_time(seconds: float) -> None:
    """Also where the seconds have no exact binary fraction: a time that came again would hold the loop for good."""
    schedule = every(seconds=seconds)
    moment = datetime(2026, 11, 28, 8, 30, tzinfo=UTC)
    for _ in range(2000):
        moment, before = schedule.after(moment), moment
        assert timedelta(0) < moment - before <= timedelta(seconds=seconds)


def test_an_interval_is_not_too_short() -> None:
    with pytest.raises(ValueError, match=r"at least 0\.1 seconds, not 0"):
        every(seconds=0)
