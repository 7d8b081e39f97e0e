"""Databases: one session a request, committed or rolled back by outcome, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import sqlmodel
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import StaticPool
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelSession

from tests.conftest import ClientFactory
from tests.services.postgresql import PostgreSQL, postgresql
from velithon import HTTPException, Velithon
from velithon.background import BackgroundTasks
from velithon.ext.sqlalchemy import Database
from velithon.health import Health
from velithon.responses import StreamingResponse


class Base(DeclarativeBase):
    """The tables."""


class Item(Base):
    """A row."""

    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Note(sqlmodel.SQLModel, table=True):
    """A row of SQLModel's."""

    id: int | None = sqlmodel.Field(default=None, primary_key=True)
    text: str


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database, empty for each test."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'items.db'}"
    return str(request.getfixturevalue("server").url("asyncpg"))


def application(database: Database[AsyncSession]) -> Velithon:  # noqa: C901 - six endpoints, and nothing to decide
    health = Health()
    app = Velithon()
    database.install(app, health, cache=0)
    health.install(app)

    @app.on_startup
    async def make_tables() -> None:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)

    Session = Annotated[AsyncSession, database.session]

    @app.post("/items/{name}", status_code=201)
    async def add(name: str, session: Session, fail: str = "") -> dict[str, Any]:
        item = Item(name=name)
        session.add(item)
        await session.flush()
        if fail == "http":
            raise HTTPException(409, "No.")
        if fail == "error":
            raise RuntimeError("No.")
        return {"id": item.id, "name": item.name}

    @app.get("/items")
    async def names(session: Session) -> list[str]:
        return list(await session.scalars(select(Item.name).order_by(Item.name)))

    @app.post("/late/{name}")
    async def late(name: str, session: Session, tasks: BackgroundTasks) -> bool:
        session.add(Item(name=name))
        tasks.add_task(count)
        return session.in_transaction()

    counted: list[int] = []

    async def count() -> None:
        async with database.begin() as session:
            counted.append(len((await session.scalars(select(Item))).all()))

    @app.get("/counted")
    async def get_counted() -> list[int]:
        return counted

    @app.get("/stream")
    async def stream(session: Session) -> StreamingResponse:
        async def rows() -> AsyncIterator[str]:
            yield str(session.in_transaction())

        await session.scalars(select(Item))
        return StreamingResponse(rows())

    @app.get("/open-stream")
    async def open_stream(session: Annotated[AsyncSession, database.streaming_session]) -> StreamingResponse:
        async def rows() -> AsyncIterator[str]:
            for name in await session.scalars(select(Item.name)):
                yield name

        return StreamingResponse(rows())

    return app


def test_a_request_is_one_transaction(client: ClientFactory, url: str) -> None:
    """Committed before the answer, rolled back by any exception."""
    with client(application(Database(url)), raise_server_exceptions=False) as c:
        assert c.post("/items/a").json() == {"id": 1, "name": "a"}
        assert c.get("/items").json() == ["a"]
        assert c.post("/items/b?fail=http").status_code == 409
        assert c.post("/items/c?fail=error").status_code == 500
        assert c.get("/items").json() == ["a"]


def test_a_commit_that_fails_is_no_success(client: ClientFactory, url: str) -> None:
    """The client never reads 2xx of what the database refused."""
    with client(application(Database(url)), raise_server_exceptions=False) as c:
        c.post("/items/a")
        assert c.post("/late/a").status_code == 500  # the second row of that name is refused by the commit


def test_background_tasks_see_what_was_committed(client: ClientFactory, url: str) -> None:
    with client(application(Database(url))) as c:
        assert c.post("/late/a").json() is True
        assert c.get("/counted").json() == [1]


def test_streams_hold_no_session_unless_asked(client: ClientFactory, url: str) -> None:
    with client(application(Database(url))) as c:
        c.post("/items/a")
        assert c.get("/stream").text == "False"
        assert c.get("/open-stream").text == "a"


def test_connections_are_given_back(client: ClientFactory, url: str) -> None:
    """A pool of one connection serves one request after the other, failures and streams included."""
    database = Database(url, pool_size=1, max_overflow=0, pool_timeout=2)
    with client(application(database), raise_server_exceptions=False) as c:
        for number in range(3):
            for path in (f"/items/{number}", f"/items/x{number}?fail=http", f"/items/y{number}?fail=error"):
                c.post(path)
            assert c.get("/open-stream").status_code == 200
        assert c.get("/items").json() == ["0", "1", "2"]


def test_a_test_is_rolled_back(client: ClientFactory, url: str) -> None:
    """What the application committed is gone after the test; within it, all requests see it."""
    database = Database(url)
    app = application(database)
    with client(app) as c:
        c.post("/items/kept")
    app.on_startup.clear()
    with database.rolled_back(), client(app) as c:
        c.post("/items/gone")
        assert c.post("/items/refused?fail=http").status_code == 409
        assert c.get("/items").json() == ["gone", "kept"]
    with client(app) as c:
        assert c.get("/items").json() == ["kept"]


@pytest.mark.asyncio
async def test_a_test_that_would_leave_its_transaction_open_says_so() -> None:
    """An application that does not shut down, or does not know the database, cannot roll back."""
    database = Database("sqlite+aiosqlite://")

    async def forget() -> Any:
        with database.rolled_back():
            async with database.begin() as session:
                await session.execute(text("SELECT 1"))
            opened.append(database._rolled_back)

    opened: list[Any] = []
    with pytest.raises(RuntimeError, match="transaction is still open"):
        await forget()
    await opened[0].aclose()
    await database.aclose()


@pytest.mark.parametrize("path", ["/audit", "/both"])
def test_a_second_session_of_a_request_is_refused_within_a_test(client: ClientFactory, path: str) -> None:
    """It would wait for the first one for ever; the message has the cure, and the next request is served."""
    database: Database = Database("sqlite+aiosqlite:///:memory:")
    app = Velithon()
    database.install(app)
    Session = Annotated[AsyncSession, database.session]

    @app.get("/audit")
    async def audit(session: Session) -> Any:
        async with database.begin() as own:
            return await own.scalar(text("SELECT 1"))

    @app.get("/both")
    async def both(session: Session, other: Annotated[AsyncSession, database.streaming_session]) -> Any:
        return await other.scalar(text("SELECT 1"))

    @app.get("/one")
    async def one(session: Session) -> Any:
        return await session.scalar(text("SELECT 1"))

    with client(app) as c:
        assert c.get(path).json() == 1
    with database.rolled_back(timeout=60), client(app) as c:
        with pytest.raises(RuntimeError, match="this request or task is open already.*hand on the open one"):
            c.get(path)
        assert c.get("/one").json() == 1


@pytest.mark.asyncio
async def test_a_session_within_a_test_waits_for_others_but_not_for_ever() -> None:
    database: Database = Database("sqlite+aiosqlite:///:memory:")

    async def ask(gate: asyncio.Event) -> Any:
        async with database.begin() as session:
            await gate.wait()
            return await session.scalar(text("SELECT 1"))

    opened = asyncio.Event()
    opened.set()
    with database.rolled_back(timeout=0.2):
        assert await asyncio.gather(*[ask(opened) for _ in range(3)]) == [1, 1, 1]
        never = asyncio.create_task(ask(asyncio.Event()))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match=r"stayed open for 0\.2 seconds"):
            await ask(opened)
        never.cancel()
        with pytest.raises(asyncio.CancelledError):
            await never
        assert await ask(opened) == 1
        await database.aclose()


def test_readiness_depends_on_the_database(client: ClientFactory, server: PostgreSQL) -> None:
    with client(application(Database(server.url("asyncpg")))) as c:
        assert c.get("/readyz").status_code == 200
        server.stop()
        try:
            assert c.get("/readyz").status_code == 503
        finally:
            server.start()
        # The pool's connections are dead; nobody notices.
        assert c.get("/items").status_code == 200
        assert c.get("/readyz").status_code == 200


@pytest.mark.parametrize("url", ["postgresql://u:secret@h/d", "sqlite:///x.db"])
def test_a_driver_that_blocks_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="asynchronous driver"):
        Database(url)


@pytest.mark.parametrize("options", [{"pool_sise": 3}, {"session_options": {"autoflsh": True}}])
def test_an_option_that_nobody_knows_is_refused(options: dict[str, Any]) -> None:
    """Where it is written, not in the first request."""
    with pytest.raises(TypeError, match="pool_sise|autoflsh"):
        Database("sqlite+aiosqlite:///x.db", **options)


def test_the_session_can_be_overridden(client: ClientFactory) -> None:
    """Of both kinds, for they are one dependency."""
    database: Database = Database("sqlite+aiosqlite:///:memory:")
    app = Velithon()

    @app.get("/")
    async def get(one: Annotated[Any, database.session], two: Annotated[Any, database.streaming_session]) -> list[str]:
        return [one, two]

    app.dependency_overrides[database.session] = lambda: "fake"
    assert client(app).get("/").json() == ["fake", "fake"]


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Database("postgresql+asyncpg://u:secret@h/d"))


def test_the_url_is_shown_as_it_was_written() -> None:
    """SQLAlchemy escapes the colons."""
    assert repr(Database("sqlite+aiosqlite:///:memory:")) == "Database('sqlite+aiosqlite:///:memory:')"


def test_values_of_statements_are_in_no_exception(client: ClientFactory, tmp_path: Path) -> None:
    """What a server logs of a refused INSERT has its SQL without what it would have kept, and so has the debug page."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'items.db'}"
    with client(application(Database(url))) as c:
        assert c.post("/items/a-secret").status_code == 201
        with pytest.raises(IntegrityError) as raised:
            c.post("/items/a-secret")
    app = application(Database(url))
    app.debug = True
    with client(app, raise_server_exceptions=False) as c:
        c.post("/items/a-secret")
        page = c.post("/items/a-secret", headers={"accept": "text/plain"}).text
    for found in (str(raised.value), page):
        assert "INSERT INTO items" in found
        assert "a-secret" not in found


@pytest.mark.asyncio
async def test_values_of_statements_are_shown_to_who_asks() -> None:
    database = Database("sqlite+aiosqlite://", hide_parameters=False)
    with pytest.raises(OperationalError, match="shown"):
        async with database.begin() as session:
            await session.execute(text("SELECT * FROM nowhere WHERE x = :x"), {"x": "shown"})
    await database.aclose()


@pytest.mark.asyncio
async def test_a_database_in_memory_is_one() -> None:
    database = Database("sqlite+aiosqlite://")
    async with database.begin() as session:
        await session.execute(text("CREATE TABLE t (x)"))
    async with database.begin() as session:
        assert (await session.execute(text("SELECT count(*) FROM t"))).scalar() == 0
    await database.aclose()


@pytest.mark.parametrize("url", ["sqlite+aiosqlite:///:memory:", "sqlite+aiosqlite://"])
@pytest.mark.asyncio
async def test_no_two_transactions_in_memory_share_a_connection(url: str) -> None:
    """The rollback of one leaves the other's row, and each sees what was committed."""
    database: Database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with database.begin() as kept, database.begin() as undone:
        assert (await undone.scalars(select(Item))).all() == []
        kept.add(Item(name="a"))
        await kept.flush()
        assert (await undone.scalars(select(Item))).all() == []
        await undone.rollback()
        await kept.commit()

    async def add(number: int) -> None:
        async with database.begin() as session:
            session.add(Item(name=str(number)))

    await asyncio.gather(*map(add, range(10)))
    async with database.begin() as session:
        assert len((await session.scalars(select(Item))).all()) == 11
    await database.aclose()


@pytest.mark.asyncio
async def test_in_memory_a_reader_waits_for_the_writer() -> None:
    """It sees what was committed; where the wait is too long, it fails."""
    database: Database = Database("sqlite+aiosqlite:///:memory:", connect_args={"timeout": 0.2})
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    async def names() -> list[str]:
        async with database.begin() as session:
            return list(await session.scalars(select(Item.name)))

    async with database.begin() as writer:
        writer.add(Item(name="a"))
        await writer.flush()
        with pytest.raises(OperationalError, match="locked"):
            await names()
    assert await names() == ["a"]
    await database.aclose()


@pytest.mark.asyncio
async def test_a_database_in_memory_outlives_its_connections() -> None:
    """A connection that breaks takes nothing with it; `aclose()` ends the database."""
    database: Database = Database("sqlite+aiosqlite:///:memory:")
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with database.engine.connect() as connection:
        await connection.invalidate()
    await database.engine.dispose()
    async with database.begin() as session:
        assert (await session.scalars(select(Item))).all() == []
    await database.aclose()
    with pytest.raises(OperationalError, match="no such table"):
        async with database.begin() as session:
            await session.scalars(select(Item))
    await database.aclose()


def test_what_would_share_one_connection_is_refused() -> None:
    with pytest.raises(ValueError, match="leave poolclass out"):
        Database("sqlite+aiosqlite://", poolclass=StaticPool)
    for url in ("file::memory:?uri=true", "file:shop?mode=memory&cache=shared&uri=true"):
        with pytest.raises(ValueError, match="///:memory:"):
            Database(f"sqlite+aiosqlite:///{url}")


def test_sqlmodel_works_through_it(client: ClientFactory, url: str) -> None:
    table = Note.__table__  # type: ignore[attr-defined]  # made by SQLModel's metaclass
    database = Database(url, session_class=SQLModelSession)
    app = Velithon()
    database.install(app)

    @app.on_startup
    async def make_tables() -> None:
        async with database.engine.begin() as connection:
            await connection.run_sync(table.drop, checkfirst=True)
            await connection.run_sync(table.create)

    @app.post("/notes")
    async def add(note: Note, session: Annotated[SQLModelSession, database.session]) -> Note:
        session.add(note)
        await session.flush()
        return note

    @app.get("/notes")
    async def notes(session: Annotated[SQLModelSession, database.session]) -> list[str]:
        return [note.text for note in await session.exec(sqlmodel.select(Note))]

    with client(app) as c:
        assert c.post("/notes", json={"text": "hello"}).json() == {"id": 1, "text": "hello"}
        assert c.get("/notes").json() == ["hello"]


@pytest.mark.parametrize("mode", ["DEFERRED", "IMMEDIATE"])
def test_sqlite_that_begins_at_once_loses_no_update(tmp_path: Path, mode: Literal["DEFERRED", "IMMEDIATE"]) -> None:
    """Of transactions that read and then write, each waits for its turn; deferred ones fail."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'items.db'}"
    database: Database = Database(url, sqlite_begin=mode, connect_args={"timeout": 30})

    async def rename(number: int) -> None:
        async with database.begin() as session:
            item = (await session.scalars(select(Item))).one()
            await asyncio.sleep(0)  # the others read too, if they may
            item.name += str(number)

    async def run() -> list[BaseException | None]:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with database.begin() as session:
            session.add(Item(name=""))
        found = await asyncio.gather(*map(rename, range(5)), return_exceptions=True)
        async with database.begin() as session:
            name = (await session.scalars(select(Item.name))).one()
        await database.aclose()
        assert len(name) == found.count(None)
        return found

    failures = [error for error in asyncio.run(run()) if error is not None]
    assert bool(failures) is (mode == "DEFERRED"), failures


def test_a_wrong_sqlite_begin_is_refused() -> None:
    """It names the two."""
    with pytest.raises(ValueError, match='"DEFERRED" or "IMMEDIATE"'):
        Database("sqlite+aiosqlite://", sqlite_begin="EXCLUSIVE")  # type: ignore[arg-type]  # the mistake is the test
