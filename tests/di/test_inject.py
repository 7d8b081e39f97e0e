from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from velithon.di import (
    AsyncFactoryProvider,
    FactoryProvider,
    Provide,
    ProviderError,
    ServiceContainer,
    SingletonProvider,
    inject,
    marker_of,
    strip_inject,
)

if TYPE_CHECKING:
    from decimal import Decimal

pytestmark = pytest.mark.anyio


class Database:
    pass


async def connect() -> Database:
    await asyncio.sleep(0)
    return Database()


class Container(ServiceContainer):
    db = SingletonProvider(Database)
    fresh = FactoryProvider(Database)
    connection = AsyncFactoryProvider(connect)


container = Container()

InjectedDatabase = Annotated[Database, Provide[container.db]]


def test_a_function_outside_any_request_resolves_itself() -> None:
    @inject
    def read(number: int, db: Database = Provide[container.db]) -> tuple[int, Database]:
        return number, db

    assert read(1) == (1, container.db())


async def test_an_async_function_awaits_its_providers() -> None:
    @inject
    async def read(
        db: Database = Provide[container.db], connection: Database = Provide[container.connection]
    ) -> tuple[Database, Database]:
        return db, connection

    db, connection = await read()
    assert db is container.db()
    assert isinstance(connection, Database)


def test_the_callers_arguments_go_first() -> None:
    @inject
    def read(db: Database = Provide[container.db], *, other: Database = Provide[container.db]) -> list[Database]:
        return [db, other]

    mine, yours = Database(), Database()
    assert read(mine, other=yours) == [mine, yours]
    assert read(db=mine) == [mine, container.db()]


@inject
def annotated(
    number: Annotated[int, "metadata"],
    db: Annotated[Database, "text", Provide[container.db]],
    later: Decimal | None = None,
) -> Database:
    """Annotations are strings here, and one of them names what only a type checker imports."""
    return db


@inject
def aliased(db: InjectedDatabase, later: Later | None = None) -> Database:
    """The alias does not show the word, and the other annotation is defined further down."""
    return db


class Later:
    pass


def test_annotated_parameters_are_resolved() -> None:
    assert annotated(1) is container.db()  # type: ignore[call-arg]
    assert aliased() is container.db()  # type: ignore[call-arg]


@inject
def forward(db: Annotated[Database, Provide[defined_later.db]]) -> Database:
    return db


@inject
def unknown(db: Annotated[Database, Provide[nowhere.db]]) -> Database:  # noqa: F821
    return db


defined_later = Container()


def test_annotations_may_name_what_is_defined_later() -> None:
    assert forward() is defined_later.db()  # type: ignore[call-arg]
    with pytest.raises(ProviderError, match=r"unknown: the annotation of 'db': name 'nowhere' is not defined"):
        unknown()  # type: ignore[call-arg]


def test_a_synchronous_function_cannot_wait_for_an_asynchronous_provider() -> None:
    @inject
    def read(connection: Database = Provide[container.connection]) -> Database:
        return connection

    with pytest.raises(
        ProviderError, match=r"read is a synchronous function and Container\.connection is asynchronous"
    ):
        read()
    mine = Database()
    assert read(mine) is mine


def test_methods_are_injected() -> None:
    class Reader:
        @inject
        def __init__(self, db: Database = Provide[container.db]) -> None:
            self.db = db

        @inject
        async def read(self, connection: Database = Provide[container.connection]) -> Database:
            return connection

    reader = Reader()
    assert reader.db is container.db()
    assert isinstance(asyncio.run(reader.read()), Database)


def test_generators_are_injected() -> None:
    @inject
    def read(db: Database = Provide[container.db]) -> Generator[Any, str, str]:
        got = yield db
        return f"sent {got}"

    generator = read()
    assert next(generator) is container.db()
    with pytest.raises(StopIteration, match="sent text"):
        generator.send("text")


async def test_asynchronous_generators_are_injected() -> None:
    """What is sent and thrown in reaches the generator, and closing the outer one closes it."""
    seen: list[object] = []

    @inject
    async def read(db: Database = Provide[container.connection]) -> AsyncGenerator[Any, str]:
        try:
            seen.append((yield db))
            try:
                yield "second"
            except ValueError as error:
                seen.append(str(error))
            yield "third"
        finally:
            seen.append("closed")

    generator = read()
    assert isinstance(await anext(generator), Database)
    assert await generator.asend("sent") == "second"
    assert await generator.athrow(ValueError("thrown")) == "third"
    await generator.aclose()
    assert seen == ["sent", "thrown", "closed"]
    assert [item async for item in read()][1:] == ["second", "third"]


def test_the_signature_stays_readable() -> None:
    def read(number: int, db: Database = Provide[container.db]) -> None: ...

    async def read_async(db: Database = Provide[container.db]) -> None: ...

    assert inspect.signature(inject(read)) == inspect.signature(read)
    assert inject(read).__name__ == "read"
    assert inspect.iscoroutinefunction(inject(read_async))


def test_a_plan_finds_the_function_below() -> None:
    """Applied twice it wraps once, and whoever resolves everything calls the function itself."""

    def read(db: Database = Provide[container.db]) -> None: ...

    injected = inject(read)
    assert inject(injected) is injected
    assert strip_inject(injected) is read
    assert strip_inject(read) is read

    @functools.wraps(injected)
    def outer(db: Database) -> None:
        injected(db)

    assert strip_inject(outer) is outer


def test_what_cannot_be_injected_raises() -> None:
    with pytest.raises(ProviderError, match="for the class Database, decorate its __init__."):
        inject(Database)
    with pytest.raises(ProviderError, match="'db' is positional-only"):

        @inject
        def read(db: Database = Provide[container.db], /) -> None: ...


def test_an_override_reaches_injected_functions() -> None:
    @inject
    def read(db: Database = Provide[container.db]) -> Database:
        return db

    mine = Database()
    with container.override(container.db, mine):
        assert read() is mine
    assert read() is not mine


def test_provide_takes_the_providers_of_an_instance() -> None:
    with pytest.raises(ProviderError, match=r"Provide\[\.\.\.\] takes a provider of a container, not 'db'"):
        Provide["db"]  # type: ignore[index]
    with pytest.raises(ProviderError, match=r"Container\.db belongs to a class: make a container, Container\(\)"):
        Provide[Container.db]
    with pytest.raises(ProviderError, match=r"no provider or value for connected: .*'range'"):
        Provide[FactoryProvider(connected)]
    assert repr(Provide[container.db]) == "Provide[Container.db]"


def connected(range: range) -> None: ...


def test_markers_are_found_in_defaults_and_annotations() -> None:
    marker = Provide(container.db)
    assert marker_of(marker, Database) is marker
    assert marker_of(inspect.Parameter.empty, Annotated[Database, "text", marker]) is marker
    assert marker_of(None, Annotated[Database, "text"]) is None
    assert marker_of(None, Database) is None


def test_a_factorys_own_markers_are_resolved() -> None:
    def make(name: str, db: Database = Provide[container.db]) -> tuple[str, Database]:
        return name, db

    class Named(ServiceContainer):
        named = FactoryProvider(make, "text")
        marked = FactoryProvider(make, "text", db=Provide[container.fresh])

    assert Named().named() == ("text", container.db())
    assert Named().marked()[1] is not container.db()
