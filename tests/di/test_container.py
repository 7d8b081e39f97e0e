from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import TracebackType
from typing import Any
from unittest.mock import MagicMock

import pytest

from velithon.di import (
    AsyncFactoryProvider,
    FactoryProvider,
    Provider,
    ProviderError,
    ServiceContainer,
    SingletonProvider,
)

pytestmark = pytest.mark.anyio


class Database:
    pass


class Repository:
    def __init__(self, db: Database) -> None:
        self.db = db


class Service:
    def __init__(self, repository: Repository, key: str = "default") -> None:
        self.repository = repository
        self.key = key


async def make_service(repository: Repository, key: str = "default") -> Service:
    await asyncio.sleep(0)
    return Service(repository, key)


class Container(ServiceContainer):
    db = SingletonProvider(Database)
    repository = FactoryProvider(Repository, db=db)
    service = AsyncFactoryProvider(make_service, repository=repository, key="k")


async def test_a_chain_is_resolved_recursively() -> None:
    """Providers among the arguments are resolved, values are passed on, the singleton is shared."""
    container = Container()
    one, two = await container.service.resolve(), await container.service.resolve()
    assert (one.key, type(one.repository.db)) == ("k", Database)
    assert one is not two
    assert one.repository is not two.repository
    assert one.repository.db is two.repository.db is container.db()


def test_positional_providers_are_resolved() -> None:
    class Positional(ServiceContainer):
        db = SingletonProvider(Database)
        repository = FactoryProvider(Repository, db)
        service = FactoryProvider(Service, repository, "positional")

    service = Positional().service()
    assert isinstance(service.repository.db, Database)
    assert service.key == "positional"


def test_each_container_has_its_own_objects() -> None:
    assert Container().db() is not Container().db()


def test_an_undeclared_provider_among_the_arguments_belongs_to_the_container() -> None:
    class Inline(ServiceContainer):
        repository = FactoryProvider(Repository, db=SingletonProvider(Database))

    one, two = Inline(), Inline()
    assert one.repository().db is one.repository().db
    assert one.repository().db is not two.repository().db


def test_a_provider_of_another_container_is_shared() -> None:
    first = Container()

    class Second(ServiceContainer):
        repository = FactoryProvider(Repository, db=first.db)
        db = first.db

    assert Second().repository().db is first.db() is Second().db()


def test_a_subclass_inherits_and_replaces() -> None:
    """A provider that is declared anew also serves the inherited ones that use the old one."""

    class Fake(Database):
        pass

    class Sub(Container):
        db = SingletonProvider(Fake)

    assert type(Sub().repository().db) is Fake
    assert type(Container().repository().db) is Database


def test_a_subclass_wraps_what_it_replaces() -> None:
    class Logging(Database):
        def __init__(self, inner: Database) -> None:
            self.inner = inner

    class Sub(Container):
        db = SingletonProvider(Logging, inner=Container.db)

    found = Sub().repository().db
    assert isinstance(found, Logging)
    assert type(found.inner) is Database


def test_keywords_that_are_no_identifiers_reach_the_factory() -> None:
    class Odd(ServiceContainer):
        options = FactoryProvider(dict[str, object], **{"x-y": 1, "class": SingletonProvider(Database), "plain": 2})

    made = Odd().options()
    assert made["x-y"] == 1
    assert made["plain"] == 2
    assert isinstance(made["class"], Database)


# Mistakes


def test_an_unknown_keyword_raises_when_the_class_is_created() -> None:
    with pytest.raises(ProviderError) as caught:

        class Wrong(ServiceContainer):
            repository = FactoryProvider(Repository, database=SingletonProvider(Database))
            service = FactoryProvider(Service, repository=repository)

    assert str(caught.value) == "Wrong.repository: Repository has no parameter 'database'; it takes db"


def test_the_path_leads_to_the_mistake() -> None:
    with pytest.raises(
        ProviderError, match=r"Wrong\.service -> FactoryProvider\(Repository\): no provider or value .*'db'"
    ):

        class Wrong(ServiceContainer):
            service = FactoryProvider(Service, repository=FactoryProvider(Repository))


def test_a_provider_of_a_class_that_is_no_base_is_missing() -> None:
    with pytest.raises(ProviderError, match=r"Other\.repository -> Container\.db: Other has no such provider"):

        class Other(ServiceContainer):
            repository = FactoryProvider(Repository, db=Container.db)


def test_a_provider_that_a_subclass_removes_is_missing() -> None:
    with pytest.raises(
        ProviderError, match=r"Container\.repository -> Container\.db: Less\.db is None, which is not a"
    ):

        class Less(Container):
            db = None  # type: ignore[assignment]


def test_a_cycle_raises_with_its_path() -> None:
    with pytest.raises(ProviderError, match=r"circle: Sub\.db -> Container\.repository -> Sub\.db"):

        class Sub(Container):
            db: Any = FactoryProvider(Repository, db=Container.repository)


def test_a_cycle_outside_a_container_raises() -> None:
    one: Provider[dict[str, object]] = FactoryProvider(dict)
    two: Provider[dict[str, object]] = FactoryProvider(dict, one=one)
    one.kwargs["two"] = two
    with pytest.raises(ProviderError, match=r"circle: FactoryProvider\(dict\) -> FactoryProvider\(dict\) -> "):
        one.compile()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FactoryProvider(partial(make_service)), "make_service is asynchronous: use AsyncFactoryProvider"),
        (
            lambda: AsyncFactoryProvider(Database),  # type: ignore[arg-type]
            "Database is not an async function: use FactoryProvider",
        ),
        (lambda: SingletonProvider("text"), "SingletonProvider takes a class or a function, not 'text'"),  # type: ignore[call-overload]
        (lambda: SingletonProvider(iterate), "iterate is a generator function: decorate it"),
    ],
)
def test_a_wrong_factory_raises(make: Any, message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        make()


def iterate() -> Iterator[int]:
    yield 1


def test_a_provider_must_not_hide_a_method() -> None:
    with pytest.raises(ProviderError, match=r"Wrong\.close: every container has a method of this name"):

        class Wrong(ServiceContainer):
            close = SingletonProvider(Database)  # type: ignore[assignment]


def test_providers_are_not_assigned() -> None:
    container = Container()
    with pytest.raises(ProviderError, match=r"Declare 'db' in the class Container, or replace it with override\(\)"):
        container.db = SingletonProvider(Database)


def test_a_container_takes_attributes_and_arguments_of_its_own() -> None:
    class Configured(Container):
        def __init__(self, name: str) -> None:
            self.label = name

    assert Configured("main").label == "main"
    with pytest.raises(TypeError, match=r"Container\(\) takes no arguments"):
        Container("main")


def test_a_synchronous_call_of_an_asynchronous_provider_raises() -> None:
    with pytest.raises(ProviderError, match=r"Container\.service is asynchronous: use `await provider\.resolve\(\)`"):
        Container().service()


def test_a_partial_and_a_builtin_are_factories() -> None:
    class Built(ServiceContainer):
        service = AsyncFactoryProvider(partial(make_service, key="partial"), repository=FactoryProvider(object))
        numbers = FactoryProvider(range, 3)

    assert asyncio.run(Built().service.resolve()).key == "partial"
    assert list(Built().numbers()) == [0, 1, 2]


# Singletons under concurrency


def test_threads_share_one_singleton() -> None:
    """The factory returns only when all other threads stand before the lock, and none of them gets into it."""
    made: list[object] = []
    found: list[object] = []

    def make() -> object:
        others = [thread for thread in threads if thread is not threading.current_thread()]
        while not all(waits_for_the_lock(thread) for thread in others):
            time.sleep(0)
        made.append(object())
        return made[-1]

    class Shared(ServiceContainer):
        thing = SingletonProvider(make)

    container = Shared()
    threads = [threading.Thread(target=lambda: found.append(container.thing())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == made * 4


def waits_for_the_lock(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == "create"


async def test_tasks_share_one_asynchronous_singleton() -> None:
    release = asyncio.Event()
    made: list[object] = []

    async def make() -> object:
        made.append(object())
        await release.wait()
        return made[-1]

    class Shared(ServiceContainer):
        thing = SingletonProvider(make)

    container = Shared()
    tasks = [asyncio.create_task(container.thing.resolve()) for _ in range(5)]
    while not made:
        await asyncio.sleep(0)
    release.set()
    assert set(await asyncio.gather(*tasks)) == set(made)
    assert len(made) == 1


async def test_a_failed_or_cancelled_maker_is_followed_by_the_next() -> None:
    attempts: list[str] = []
    started = asyncio.Event()

    async def make() -> str:
        attempts.append("attempt")
        if len(attempts) == 1:
            started.set()
            await asyncio.Event().wait()
        if len(attempts) == 2:
            raise OSError("no connection")
        return "made"

    class Shared(ServiceContainer):
        thing = SingletonProvider(make)

    container = Shared()
    first = asyncio.create_task(container.thing.resolve())
    await started.wait()
    second, third = (asyncio.create_task(container.thing.resolve()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    outcomes = await asyncio.gather(first, second, third, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, OSError, str]


async def test_a_waiter_that_leaves_does_not_disturb_the_others() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def make() -> str:
        started.set()
        await release.wait()
        return "made"

    class Shared(ServiceContainer):
        thing = SingletonProvider(make)

    container = Shared()
    maker, leaver, stayer = (asyncio.create_task(container.thing.resolve()) for _ in range(3))
    await started.wait()
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.wait([leaver])
    release.set()
    assert await maker == await stayer == "made"
    assert leaver.cancelled()


def test_two_event_loops_share_one_asynchronous_singleton() -> None:
    """A task that waits in another loop than the maker's gets the maker's object."""
    started, release = threading.Event(), threading.Event()
    made: list[object] = []
    found: list[object] = []

    async def make() -> object:
        made.append(object())
        started.set()
        await asyncio.to_thread(release.wait, 5)
        return made[-1]

    class Shared(ServiceContainer):
        thing = SingletonProvider(make)

    container = Shared()

    async def ask() -> None:
        found.append(await container.thing.resolve())

    async def ask_later() -> None:
        task = asyncio.create_task(ask())
        await asyncio.sleep(0)
        release.set()
        await task

    maker = threading.Thread(target=lambda: asyncio.run(ask()))
    maker.start()
    started.wait(5)
    asyncio.run(ask_later())
    maker.join()
    assert found == made * 2


def test_a_singleton_that_asks_for_itself_raises() -> None:
    def make() -> object:
        return container.thing()

    async def make_async() -> object:
        return await container.later.resolve()

    class Selfish(ServiceContainer):
        thing: SingletonProvider[object] = SingletonProvider(make)
        later: SingletonProvider[object] = SingletonProvider(make_async)

    container = Selfish()
    with pytest.raises(ProviderError, match=r"Selfish\.thing asks for itself while it is being made."):
        container.thing()
    with pytest.raises(ProviderError, match=r"Selfish\.later asks for itself while it is being made."):
        asyncio.run(container.later.resolve())


def test_a_failed_factory_is_tried_again() -> None:
    attempts = iter([OSError("down"), "up"])

    def make() -> object:
        outcome = next(attempts)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    class Flaky(ServiceContainer):
        thing = SingletonProvider(make)

    container = Flaky()
    with pytest.raises(OSError, match="down"):
        container.thing()
    assert container.thing() == "up"


# Closing


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []


class Closes:
    def __init__(self, log: Log) -> None:
        self.log = log

    def close(self) -> None:
        self.log.lines.append("close")


class ClosesLater:
    def __init__(self, log: Log, after: object = None) -> None:
        self.log = log

    async def aclose(self) -> None:
        self.log.lines.append("aclose")

    def close(self) -> None:
        raise AssertionError("aclose goes first")


class Managed:
    def __init__(self, log: Log, after: object = None) -> None:
        self.log = log

    def __enter__(self) -> Managed:
        self.log.lines.append("enter")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.log.lines.append("exit")


class ManagedLater:
    def __init__(self, log: Log, after: object = None) -> None:
        self.log = log

    async def __aenter__(self) -> ManagedLater:
        self.log.lines.append("aenter")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.log.lines.append("aexit")


async def test_singletons_are_closed_in_the_reverse_order_of_creation() -> None:
    log = Log()

    class Closing(ServiceContainer):
        one = SingletonProvider(Closes, log=log)
        two = SingletonProvider(ClosesLater, log=log, after=one)
        three = SingletonProvider(Managed, log=log, after=two)
        four = SingletonProvider(ManagedLater, log=log, after=three)
        unused = SingletonProvider(Closes, log=log)

    container = Closing()
    four = await container.four.resolve()
    await container.close()
    assert log.lines == ["enter", "aenter", "aexit", "exit", "aclose", "close"]
    await container.close()
    assert len(log.lines) == 6
    assert await container.four.resolve() is not four


async def test_generator_context_managers_give_what_they_yield() -> None:
    lines: list[str] = []

    @contextmanager
    def open_pool() -> Iterator[str]:
        yield "pool"
        lines.append("pool")

    @asynccontextmanager
    async def open_session(pool: str) -> AsyncIterator[str]:
        yield f"session of {pool}"
        lines.append("session")

    class Resources(ServiceContainer):
        pool = SingletonProvider(open_pool)
        session = SingletonProvider(open_session, pool=pool)
        service = FactoryProvider(dict[str, object], session=session)

    container = Resources()
    assert await container.service.resolve() == {"session": "session of pool"}
    await container.close()
    assert lines == ["session", "pool"]


async def test_an_async_factory_may_make_any_context_manager() -> None:
    log = Log()

    async def make() -> Managed:
        return Managed(log)

    async def make_later() -> ManagedLater:
        return ManagedLater(log)

    async def make_closing() -> Closes:
        return Closes(log)

    async def make_plain() -> object:
        return object()

    class Resources(ServiceContainer):
        one: SingletonProvider[Any] = SingletonProvider(make)
        two: SingletonProvider[Any] = SingletonProvider(make_later)
        three: SingletonProvider[Any] = SingletonProvider(make_closing)
        four: SingletonProvider[Any] = SingletonProvider(make_plain)

    container = Resources()
    for provider in (container.one, container.two, container.three, container.four):
        await provider.resolve()
    await container.close()
    assert log.lines == ["enter", "aenter", "close", "aexit", "exit"]


async def test_startup_enters_asynchronous_context_managers_only() -> None:
    """The task of the lifespan enters them and exits them; all else waits for its first use."""
    log = Log()

    def annotated() -> ManagedLater:
        return ManagedLater(log)

    class Resources(ServiceContainer):
        one = SingletonProvider(Managed, log=log)
        two = SingletonProvider(ManagedLater, log=log)
        three = SingletonProvider(annotated)

    container = Resources()
    await container.startup()
    assert log.lines == ["aenter", "aenter"]
    assert await container.two.resolve() is await container.two.resolve()
    await container.close()
    assert log.lines == ["aenter", "aenter", "aexit", "aexit"]


async def test_a_failed_startup_closes_what_it_opened() -> None:
    log = Log()

    @asynccontextmanager
    async def broken() -> AsyncIterator[str]:
        raise OSError("no connection")
        yield ""

    class Resources(ServiceContainer):
        one = SingletonProvider(ManagedLater, log=log)
        two = SingletonProvider(broken)

    with pytest.raises(OSError, match="no connection"):
        await Resources().startup()
    assert log.lines == ["aenter", "aexit"]


async def test_the_last_of_several_applications_closes_the_container() -> None:
    log = Log()

    class Resources(ServiceContainer):
        one = SingletonProvider(ManagedLater, log=log)

    container = Resources()
    await container.startup()
    await container.startup()
    await container.close()
    assert log.lines == ["aenter"]
    await container.close()
    assert log.lines == ["aenter", "aexit"]


async def test_every_closing_is_tried_and_the_failure_raised() -> None:
    log = Log()

    class Broken:
        def close(self) -> None:
            raise OSError("already gone")

    class Resources(ServiceContainer):
        one = SingletonProvider(Closes, log=log)
        two = SingletonProvider(Broken)

    container = Resources()
    container.one()
    container.two()
    with pytest.raises(OSError, match="already gone"):
        await container.close()
    assert log.lines == ["close"]


async def test_an_undeclared_asynchronous_context_manager_raises_or_is_closed() -> None:
    """Nothing tells before the call that such a function makes one: without `close` it cannot be used."""

    class Client(ManagedLater):
        async def aclose(self) -> None:
            self.log.lines.append("aclose")

    log = Log()

    class Resources(ServiceContainer):
        hidden = SingletonProvider(lambda: ManagedLater(log))
        client: SingletonProvider[Any] = SingletonProvider(lambda: Client(log))

    container = Resources()
    with pytest.raises(
        ProviderError, match="ManagedLater is an asynchronous context manager and its factory does not say"
    ):
        container.hidden()
    container.client()
    await container.close()
    assert log.lines == ["aclose"]


async def test_an_annotation_that_cannot_be_read_tells_nothing() -> None:
    def make() -> Unknown:  # type: ignore[name-defined] # noqa: F821
        return 1

    class Resources(ServiceContainer):
        one: SingletonProvider[Any] = SingletonProvider(make)

    assert Resources().one() == 1


async def test_locks_classes_and_mocks_are_given_as_they_are() -> None:
    """Entering a lock would take it, a class is closed by nobody, and a mock only looks like a context manager."""
    mock = MagicMock()

    class Things(ServiceContainer):
        lock: Provider[asyncio.Lock] = SingletonProvider(asyncio.Lock)
        thread_lock: Provider[Any] = SingletonProvider(threading.Lock)
        kind: Provider[Any] = SingletonProvider(lambda: Closes)
        mock: Provider[Any] = SingletonProvider(lambda: mock)

    things = Things()
    assert not things.lock().locked()
    assert not things.thread_lock().locked()
    assert things.kind() is Closes
    assert things.mock() is mock
    await things.close()
    assert not mock.__enter__.called


async def test_a_provider_outside_a_container_closes_what_it_made() -> None:
    log = Log()
    provider = SingletonProvider(Closes, log=log)
    assert provider() is provider()
    await provider.close()
    assert log.lines == ["close"]


# Overrides


class Fake(Database):
    pass


def test_an_override_lasts_as_long_as_its_block() -> None:
    container = Container()
    db = container.db()
    fake = Fake()
    with container.override(container.db, fake) as replacement:
        assert replacement() is fake
        assert container.repository().db is fake
        assert container.db() is fake
    assert container.repository().db is db


def test_a_class_takes_the_role_of_what_it_replaces() -> None:
    """A singleton is replaced by a singleton, a factory by a factory."""
    container = Container()
    with container.override(container.db, Fake):
        assert isinstance(container.db(), Fake)
        assert container.db() is container.db()
    with container.override(container.repository, lambda: Repository(Fake())):
        assert container.repository() is not container.repository()
        assert isinstance(container.repository().db, Fake)


def test_overrides_nest_and_end_in_any_order() -> None:
    container = Container()
    one, two = Fake(), Fake()
    outer, inner = container.override(container.db, one), container.override(Container.db, two)
    outer.__enter__()
    inner.__enter__()
    assert container.repository().db is two
    outer.__exit__(None, None, None)
    assert container.repository().db is two
    inner.__exit__(None, None, None)
    assert type(container.repository().db) is Database


def test_singletons_above_an_override_are_made_anew_inside() -> None:
    class Caching(ServiceContainer):
        db = SingletonProvider(Database)
        repository = SingletonProvider(Repository, db=db)

    container = Caching()
    before = container.repository()
    with container.override(container.db, Fake):
        inside = container.repository()
        assert isinstance(inside.db, Fake)
        with container.override(container.db, Fake):
            assert container.repository() is not inside
        assert container.repository() is inside
    assert container.repository() is before


async def test_a_replacement_may_be_asynchronous_and_use_the_containers_providers() -> None:
    """A chain that was synchronous is awaited while a part of it is replaced by something asynchronous."""

    async def connect() -> Database:
        await asyncio.sleep(0)
        return Fake()

    container = Container()
    assert container.repository()
    with container.override(container.db, connect):
        assert isinstance((await container.repository.resolve()).db, Fake)
    with container.override(container.repository, AsyncFactoryProvider(make_repository, db=Container.db)):
        assert (await container.service.resolve()).repository.db is container.db()
    with container.override(container.repository, make_none):
        assert await container.repository.resolve() is None
    assert container.repository()


async def make_repository(db: Database) -> Repository:
    return Repository(db)


async def make_none() -> None:
    return None


def test_a_mock_is_given_as_it_is() -> None:
    """It can be called, but it is an object and no factory."""
    container, mock = Container(), MagicMock()
    with container.override(container.db, mock):
        assert container.repository().db is mock


def test_an_override_reaches_the_providers_of_other_containers() -> None:
    first = Container()

    class Second(ServiceContainer):
        repository = FactoryProvider(Repository, db=first.db)

    second = Second()
    second.repository()
    with first.override(first.db, Fake):
        assert isinstance(second.repository().db, Fake)
    assert type(second.repository().db) is Database


def test_a_wrong_override_raises_and_leaves_nothing_behind() -> None:
    container = Container()
    with pytest.raises(ProviderError, match=r"Container\.db is not a provider of Container"):
        with container.override(Container().db, Fake):
            pass
    with pytest.raises(ProviderError, match=r"Container\.db -> SingletonProvider\(Repository\): no provider or value"):
        with container.override(container.db, Repository):
            pass
    with pytest.raises(ProviderError, match=r"circle: Container\.db -> Container\.repository -> Container\.db"):
        with container.override(container.db, container.repository):
            pass
    assert type(container.repository().db) is Database


async def test_what_an_override_made_is_closed_with_the_container() -> None:
    log = Log()
    container = Container()
    with container.override(container.db, SingletonProvider(Closes, log=log)):
        container.db()
    given = MagicMock()
    with container.override(container.db, given):
        container.db()
    await container.close()
    assert log.lines == ["close"]
    assert not given.close.called


def test_a_value_is_named_in_messages() -> None:
    container = Container()
    with container.override(container.db, 5) as replacement:
        assert str(replacement) == "the value 5"


def passed_on(value: list[str]) -> list[str]:
    return value


def test_a_chain_of_factories_may_be_long() -> None:
    provider: Provider[list[str]] = FactoryProvider(lambda: ["made"])
    for _ in range(150):
        provider = FactoryProvider(passed_on, provider)
    assert provider() == ["made"]


def test_factories_of_which_many_are_shared_are_made_in_order() -> None:
    made: list[int] = []

    def join(*parts: int) -> int:
        made.append(sum(parts))
        return sum(parts)

    provider: Provider[int] = FactoryProvider(lambda: 1)
    for _ in range(8):
        provider = FactoryProvider(join, provider, provider)
    assert provider() == 256
    assert made[:7] == [2, 2, 4, 2, 2, 4, 8]
    assert len(made) == 255


def test_providers_are_named_in_tracebacks() -> None:
    class Broken:
        def __init__(self, part: object) -> None:
            raise ValueError("seen")

    class Holder(ServiceContainer):
        part = FactoryProvider(object)
        broken = FactoryProvider(Broken, part)

    with pytest.raises(ValueError, match="seen") as caught:
        Holder().broken()
    shown = "".join(traceback.format_exception(caught.value))
    assert 'File "<velithon provider Holder.broken' in shown
    assert "return factory" in shown
